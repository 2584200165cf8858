"""What really runs on a GPU, with numbers compared: `envcheck gpu`.

Every proof runs in a child process with a time limit, so that one that hangs or aborts hides no other.

- `proofs.py` lists the proofs, `levels.py` says how much each level does: kernel-only, quick, standard, full.
- `programs/` is what runs in the children. A proof is a function of PyTorch and of `device.Cuda`, in whose place tests
  put a CPU. What is allowed to deviate, and why, stands at the top of each file.
- `plan.py` says which programs there are, `runner.py` runs them, `prove.py` puts the steps in order.
- `judge*.py` and `failure.py` turn what the programs reported into findings and causes; they are pure.
- `peaks.toml` holds published peak rates with their sources. A card that is not in it is shown without a share.
"""
