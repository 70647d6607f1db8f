"""Forking under random answers, silence, CANCEL and repeats: what must hold whatever happens."""

from firmware.sip.transaction_tables import TERMINATED
from fork_rig import BOB, ForkRig
from sip_bench import request

STATUSES = (100, 180, 183, 200, 202, 301, 401, 404, 407, 408, 480, 486, 487, 500, 503, 600, 603)
NAMES = "abcde"


class Dice:
    """A linear congruential generator, alike on both interpreters."""

    def __init__(self, seed):
        self._state = seed

    def roll(self, sides):
        """0..sides-1."""
        self._state = (self._state * 1103515245 + 12345) & 0x7FFFFFFF
        return (self._state >> 12) % sides


class Watch:
    """Checks each message as it is sent; finals: statuses of final responses that went up."""

    def __init__(self, one, seed):
        self.one = one
        self.seed = seed
        self.tried = []
        self.rung = []
        self.ended = []
        self.cancelled = []
        self.finals = []

    def see(self, words):
        for word in words:
            kind, _, name = word.partition(" ")
            if kind == self.one.method:
                if name not in self.tried:
                    assert not self.finals, self.seed
                    self.tried.append(name)
            elif kind == "CANCEL":
                assert self.one.method == "INVITE" and name in self.rung, self.seed
                if name not in self.cancelled:
                    assert name not in self.ended, self.seed
                    self.cancelled.append(name)
            elif kind != "ACK":
                self.see_answer(int(kind))

    def see_answer(self, code):
        if code < 200:
            assert not self.finals or code == 100 and self.one.method != "INVITE", self.seed
            return
        if self.finals and code not in self.finals:
            assert code < 300 and self.finals[0] < 300 and self.one.method == "INVITE", self.seed
        self.finals.append(code)


def play(seed, method):
    """One request with random targets and events; what went up."""
    dice = Dice(seed)
    one = ForkRig(method)
    watch = Watch(one, seed)
    names = NAMES[:1 + dice.roll(5)]
    watch.see(one.begin(names, [dice.roll(3) * 100 for _ in names], parallel=dice.roll(4) > 0))
    for _ in range(25):
        event = dice.roll(20)
        if event < 13:
            name = watch.tried[dice.roll(len(watch.tried))]
            code = STATUSES[dice.roll(len(STATUSES))]
            if code < 200 and name not in watch.ended:
                watch.rung.append(name)
            sent = one.answer(name, code)
            watch.see(sent)
            if code >= 200:
                watch.ended.append(name)
        elif event == 13 and method == "INVITE":
            _, sent = one.cancel()
            watch.see([word for word in sent if word != "200"])  # the 200 is the CANCEL's
        elif event < 16 and one.server.state != TERMINATED:
            one.rig.sent.clear()
            one.rig.give(request(method, BOB))
            watch.see(one.take())
        elif event < 19:
            watch.see(one.run(dice.roll(3000)))
        else:
            watch.see(one.run(dice.roll(100000)))
    watch.see(one.run(1200000))
    assert len(one.rig.layer) == 0 and one.rig.layer.next_deadline_ms() is None, seed
    assert one.forking.next_deadline_ms() is None, seed
    return watch.finals


def test_random_invites_get_one_failure_or_only_2xx():
    for seed in range(1, 121):
        finals = play(seed, "INVITE")
        assert finals, seed
        if finals[0] >= 300:
            assert len(set(finals)) == 1 and 503 not in finals, seed


def test_random_non_invites_get_at_most_one_final():
    for seed in range(1, 121):
        assert len(set(play(seed, "MESSAGE"))) <= 1, seed
