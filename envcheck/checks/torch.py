"""The PyTorch wheel: its build, its compiler, and whether CUDA works through it."""

from __future__ import annotations

import re
from pathlib import PurePath

from envcheck.checks.answer import fail, ok, skip, warn
from envcheck.checks.crashes import crash_in, crash_lines
from envcheck.checks.library_path import lying_in_it, setting, without
from envcheck.compat import cuda_error
from envcheck.facts import Facts, Torch
from envcheck.finding import Finding
from envcheck.presence import presence

LINES_OF_ERROR = 4
# What torch.cuda says of errors 35, 999 and 3, where it leaves their numbers out.
WORDS = {
    "driver on your system is too old": "driver-too-old",
    "CUDA unknown error": "cuda-unknown-init",
    "CUDA driver initialization failed": "cuda-unknown-init",
}

REINSTALL = "pip install --force-reinstall torch torchvision   # its packages are incomplete or do not fit together"
NOT_LOOKED_AT = "PyTorch was not looked at"


def imported(facts: Facts) -> Torch | str:
    """PyTorch where it imported, else why nothing can be said about it here."""
    torch = facts.torch
    if torch is None:
        return NOT_LOOKED_AT
    if not torch.found:
        return "PyTorch is not installed here"
    return torch if torch.version is not None else "PyTorch does not import; see torch-build"


def torch_build(facts: Facts) -> Finding:
    """What it checks: that PyTorch imports, and is a CUDA build where a GPU is expected.
    Why it matters: the CPU build runs without an error, on the CPU.
    How to fix: install the CUDA build; on a failing import, remove what shadows its libraries.
    Reference: https://pytorch.org/get-started/locally/
    """
    check, torch = "torch-build", facts.torch
    if torch is None:
        return skip(check, NOT_LOOKED_AT)
    if not torch.found:
        return skip(check, f"PyTorch is not installed in {', '.join(torch.searched)} (ENVCHECK_PYTHON names another)")
    if torch.version is None:
        return _import_failed(check, torch, facts)
    evidence = [f"{torch.python} (Python {torch.python_version})", f"{torch.location}"]
    if torch.cuda is None and (torch.hip or "rocm" in torch.version):
        return skip(check, f"torch {torch.version} is built for AMD GPUs")
    if torch.cuda is not None:
        return ok(check, f"torch {torch.version}, CUDA {torch.cuda}", evidence)
    if presence(facts).expected:
        summary = f"torch {torch.version} is a CPU build: the GPU will not be used"
        return fail(check, "torch-cpu-only", summary, ["torch.version.cuda is None", *evidence])
    return ok(check, f"torch {torch.version}, a CPU build", evidence)


def _import_failed(check: str, torch: Torch, facts: Facts) -> Finding:
    crash = crash_in(torch, "import", "start")
    if crash is not None and crash.stage == "start":
        fix = (f"{torch.python} -c 'import torch'   # must work; ENVCHECK_PYTHON names another Python",)
        return fail(check, None, f"{torch.python} does not run as a Python", crash_lines(crash), fix)
    evidence = [f"python: {torch.python}", *(crash_lines(crash) if crash else [torch.error or "no reason reported"])]
    text = " ".join(evidence)
    evidence += setting(facts)
    if not setting(facts) and "cannot open shared object file" in text:
        return fail(check, None, "importing torch fails: a library is missing", evidence, (REINSTALL,))
    cudnn = lying_in_it(facts, "libcudnn")
    # An abort (exit code 134) without a word is cuDNN's way to refuse parts of another version.
    if "cudnn" in text.lower() or (cudnn and crash is not None and crash.signal == "SIGABRT"):
        evidence += [f"in LD_LIBRARY_PATH: {path}" for path in cudnn[:4]]
        steps = without(facts, {str(PurePath(path).parent) for path in cudnn}) or None
        return fail(check, "cudnn-shadowed", "importing torch fails over cuDNN", evidence, steps)
    # Only a library that is missing a symbol or a file, with a search path set, points at shadowing.
    shadowed = setting(facts) and re.search(r"undefined symbol|cannot open shared object|version `", text)
    if shadowed:
        return fail(check, "library-shadowed", "importing torch fails", evidence)
    whole = (f"{torch.python} -c 'import torch'   # shows the whole error", REINSTALL)
    return fail(check, None, "importing torch fails", evidence, whole)


def torch_cuda(facts: Facts) -> Finding:
    """What it checks: that torch.cuda.is_available() agrees with what cuInit said.
    Why it matters: CUDA may work for other programs and not for PyTorch.
    How to fix: as the error number in PyTorch's warning says.
    Reference: https://docs.pytorch.org/docs/stable/notes/cuda.html
    """
    check, torch = "torch-cuda", imported(facts)
    if isinstance(torch, str):
        return skip(check, torch)
    crash = crash_in(torch, "cuda")
    if crash is not None:
        return fail(check, None, "asking PyTorch for CUDA crashed", crash_lines(crash))
    if not presence(facts).expected:
        return skip(check, "no GPU is expected here; PyTorch runs on the CPU")
    if torch.cuda is None:
        return skip(check, "no CUDA build; see torch-build")
    if facts.cuda.init_code != 0 or not facts.cuda.device_count:
        return skip(check, "CUDA does not initialise; see cuda-init")
    if torch.cuda_available:
        return ok(check, f"PyTorch sees {torch.cuda_device_count} GPU{'s' if torch.cuda_device_count != 1 else ''}")
    text = torch.cuda_warning or "torch.cuda.is_available() is False, without a warning"
    return fail(check, _cause(text), "CUDA works, but not through PyTorch", text.splitlines()[:LINES_OF_ERROR])


def _cause(text: str) -> str | None:
    number = re.search(r"Error (\d+):", text)
    if number:
        return cuda_error(int(number.group(1))).cause
    return next((cause for words, cause in WORDS.items() if words in text), None)


def torch_compile(facts: Facts) -> Finding:
    """What it checks: that a C compiler, a C++ compiler and the headers of torch's Python are there.
    Why it matters: torch.compile builds small programs at run time and fails without them.
    How to fix: install gcc, g++ and the python3 development package.
    Reference: https://docs.pytorch.org/docs/stable/user_guide/torch_compiler/torch.compiler_troubleshooting.html
    """
    check, torch = "torch-compile", imported(facts)
    if isinstance(torch, str):
        return skip(check, torch)
    parts = {"C compiler": torch.c_compiler, "C++ compiler": torch.cxx_compiler, "Python.h": torch.python_header}
    evidence = [f"{name}: {path or 'missing'}" for name, path in parts.items()]
    absent = [name for name, path in parts.items() if path is None]
    if not absent:
        return ok(check, "torch.compile has its compiler", evidence)
    return warn(check, "compiler-missing", f"torch.compile will not work: no {', no '.join(absent)}", evidence)
