// The portable tests on a 32-bit MicroPython: `node tests/tools/portable_wasm.mjs [FILE...]`,
// or a portable script on it: `node tests/tools/portable_wasm.mjs --script SCRIPT [ARGUMENT...]`.
//
// FILE: names in tests/portable, all `test_*.py` but LEFT_OUT when there are none. The interpreter
// is MicroPython's WebAssembly port in build/micropython-wasm (`make micropython-wasm`): small
// ints below 2**30, no sockets, no ffi, no native emitter, so the pure fast path serves. Each file
// gets an interpreter of its own and the checkout's folders copied into its file system.
// This port frees memory only between calls from outside, so each test is such a call, and so is
// each part of a script that begins with a line `# %%`.
// Last line: `N passed, N failed`; exit code 1 if any failed.

import fs from "node:fs";
import path from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const ROOT = path.resolve(path.dirname(fileURLToPath(import.meta.url)), "..", "..");
const PORTABLE = "tests/portable";
const COPIED = ["bus", "firmware", "boards", PORTABLE, "tests/vectors"];
const HOME = "/checkout";
const HEAP_BYTES = 1024 * 1024; // at first: the port takes more where a test wants more

// files that need what this interpreter has not, and what that is
const LEFT_OUT = {
    "test_stream_server.py": "opens TCP sockets",
};

const SETUP = `
import gc, os, sys
os.chdir("${HOME}")
sys.path[:] = ["${PORTABLE}", ".", ".frozen"]
assert sys.maxsize == 2**31 - 1, "this interpreter is not a 32-bit one"
`;

/** Copy the folder or file `from` of this computer to `to` of the interpreter's file system. */
function copyIn(files, from, to) {
    if (!fs.statSync(from).isDirectory()) {
        files.writeFile(to, fs.readFileSync(from));
        return;
    }
    files.mkdirTree(to);
    for (const name of fs.readdirSync(from)) {
        if (name !== "__pycache__") {
            copyIn(files, path.join(from, name), `${to}/${name}`);
        }
    }
}

/** A fresh interpreter with the checkout's folders; what it prints goes to `print`. */
async function interpreter(loadMicroPython, print) {
    const options = { heapsize: HEAP_BYTES, linebuffer: true, stdout: print, stderr: print };
    const made = await loadMicroPython(options);
    for (const folder of COPIED) {
        copyIn(made.FS, path.join(ROOT, folder), `${HOME}/${folder}`);
    }
    made.runPython(SETUP);
    return made;
}

/** Run one test file; returns [passed, failed]. Failing to import is one failure. */
async function runFile(loadMicroPython, name) {
    const file = `${PORTABLE}/${name}`;
    const lines = [];
    const python = await interpreter(loadMicroPython, (line) => lines.push(line));
    let passed = 0;
    let failed = 0;
    const call = (source) => {
        try {
            python.runPython(source);
            return true;
        } catch (error) { // what run.py does not catch: SystemExit, or the heap's end
            lines.push(`FAILED ${file}: ${error}`);
            return false;
        }
    };
    if (!call(`import run; module, tests = run.load("${file}"); names = " ".join(tests)`)) {
        failed = 1;
    } else if (python.globals.get("module") === null) {
        failed = 1;
    } else {
        for (const test of python.globals.get("names").split(" ").filter(Boolean)) {
            const done = call(`done = run.run_test("${file}", module, "${test}")`);
            const good = done && python.globals.get("done") === true;
            passed += good ? 1 : 0;
            failed += good ? 0 : 1;
        }
    }
    if (failed) {
        console.log(lines.join("\n"));
    }
    console.log(`${file}: ${passed} passed, ${failed} failed`);
    return [passed, failed];
}

/** The files to run: those asked for, else all but those LEFT_OUT, which must exist. */
function chosen(asked) {
    if (asked.length) {
        return asked.map((name) => path.basename(name));
    }
    const all = fs.readdirSync(path.join(ROOT, PORTABLE)).filter((n) => /^test_.*\.py$/.test(n));
    for (const [name, reason] of Object.entries(LEFT_OUT)) {
        if (!all.includes(name)) {
            throw new Error(`LEFT_OUT names ${name}, which is not in ${PORTABLE}`);
        }
        console.log(`${PORTABLE}/${name}: left out, it ${reason}`);
    }
    return all.filter((name) => !(name in LEFT_OUT)).sort();
}

/** Run a portable script as the main program; returns 1 when an exception ended it, else 0. */
async function runScript(loadMicroPython, script, args) {
    const python = await interpreter(loadMicroPython, (line) => console.log(line));
    const argv = [script, ...args].map((word) => JSON.stringify(word)).join(", ");
    try {
        python.runPython(`sys.argv[:] = [${argv}]`);
        for (const part of fs.readFileSync(script, "utf8").split(/^# %%.*$/m)) {
            python.runPython(part);
        }
    } catch (error) {
        console.log(String(error));
        return 1;
    }
    return 0;
}

/** Run the tests of the files, print the sum of them; returns the exit code. */
async function runTests(loadMicroPython, names) {
    let passed = 0;
    let failed = 0;
    for (const name of names) {
        const [filePassed, fileFailed] = await runFile(loadMicroPython, name);
        passed += filePassed;
        failed += fileFailed;
    }
    console.log(`${passed} passed, ${failed} failed`);
    return failed || !passed ? 1 : 0;
}

const library = path.join(ROOT, "build", "micropython-wasm", "micropython.mjs");
const { loadMicroPython } = await import(pathToFileURL(library));
const words = process.argv.slice(2);
process.exitCode = words[0] === "--script"
    ? await runScript(loadMicroPython, words[1], words.slice(2))
    : await runTests(loadMicroPython, chosen(words));
