"""`launcher prune` on a real engine that nobody shares: what is stale goes, what anybody needs stays."""

from __future__ import annotations

import io
import json
import subprocess
import tarfile
from pathlib import Path

from tests.end_to_end.machines import Launch
from tests.end_to_end.private_engine import PrivateEngine

STALE = "gpu-launcher/jupyter:cu128-000000000000"


def stale_image(engine: PrivateEngine, directory: Path) -> None:
    """An image of 100 kB with the label that every image of the launcher carries."""
    with tarfile.open(directory / "root.tar", "w") as archive:
        entry = tarfile.TarInfo("file")
        entry.size = 100_000
        archive.addfile(entry, io.BytesIO(bytes(entry.size)))
    engine.docker("import", "--change", "LABEL gpu-launcher.source=old", str(directory / "root.tar"), STALE)


def test_the_stale_image_goes_and_what_is_needed_stays(
    private_engine: PrivateEngine, private_jupyter_image: str, launch: Launch, tmp_path: Path
) -> None:
    assert launch("up", "asleep", "--mode", "jupyter").code == 0
    assert launch("down", "asleep").code == 0
    stale_image(private_engine, tmp_path)
    user = private_engine.docker("create", "--name", "somebody", STALE, "true")
    try:
        before = private_engine.everything()
        assert json.loads(launch("prune", "--dry-run", "--json").stdout)["items"] == [], "a container was made from it"
        private_engine.docker("rm", user)
        shown = launch("prune")
        assert shown.code == 2 and STALE in shown.stderr and "launcher prune --yes" in shown.stderr
        done = json.loads(launch("prune", "--yes", "--json").stdout)
        assert [(item["kind"], item["why"]) for item in done["items"]] == [("image", STALE)]
        assert (done["bytes"], done["refused"], done["removed"]) == (100_000, [], True)
        assert private_engine.everything() == before - {"container somebody"}
        left = private_engine.docker("image", "ls", "--format", "{{.Repository}}:{{.Tag}}").split()
        assert STALE not in left and private_jupyter_image in left
        assert launch("prune", "--yes").stderr.strip().endswith("Nothing to prune.")
        again = launch("up", "asleep", "--mode", "jupyter")
        assert again.code == 0 and "Building" not in again.stderr
    finally:
        subprocess.run([str(private_engine.client), "image", "rm", "-f", STALE], env=private_engine.environment())
        launch("rm", "asleep", "--yes")
