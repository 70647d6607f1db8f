"""The location server is killed while 100,000 records are imported; --resume finishes."""

import subprocess
import sys

from firmware.location.record import aor_key
from rig import ROOT, wait_for
from test_provision import write_csv

COUNT = 100000


def level(chassis):
    return chassis.cards()[3]["database"]["level"]


def test_resume_finishes_an_import_that_the_location_server_died_in(chassis, tmp_path):
    path = write_csv(tmp_path / "large.csv", range(COUNT))
    command = [sys.executable, "-m", "host_tools", "provision", "import", path, "--batch", "2000",
               "--state", chassis.state]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True) as importing:
        try:
            wait_for(lambda: level(chassis) >= COUNT // 5, "a fifth is imported")
            chassis.kill(3)
            _, errors = importing.communicate(timeout=60)
        finally:
            importing.kill()
    assert importing.returncode == 3 and "--resume" in errors, errors
    kept = max(chassis.cards()[slot]["database"]["level"] for slot in (4, 5, 6))
    chassis.insert(3)
    assert kept <= level(chassis) < COUNT
    chassis.run("provision", "import", path, "--batch", 2000, "--resume", "--wait", "coherent")
    chassis.whole()
    assert chassis.ask("provision", "count")["records"] == COUNT
    expected = {aor_key(b"u%d@proxy.example" % number) for number in range(COUNT)}
    assert set(chassis.equal_copies()) == expected
