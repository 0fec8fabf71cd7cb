"""The commands of docs/soc.md, in their order, in an empty folder; and what is refused."""

import re
import shlex
import subprocess
from pathlib import Path

import numpy as np
import pytest

from spikeloop.cosim.cli import main
from spikeloop.pysim.network.elements import Edge, Input, Population
from spikeloop.pysim.network.graph import Network
from tests.conftest import ROOT

PAGE = (ROOT / "docs" / "soc.md").read_text()
BY_HAND = ("fusesoc", "python")  # what the page says was run by hand


def network() -> Network:
    weights = np.random.default_rng(0).integers(-2, 2, (9, 4), np.int32)
    return Network(
        name="small",
        inputs=(Input(name="x", size=9),),
        populations=(Population.make("out", 4, v_th=2, weight_bits=2),),
        edges=(Edge(source="x", target="out", weights=weights),),
        steps=3,
        output="out",
        membrane_bits=8,
    )


@pytest.mark.slow
def test_the_commands_of_the_page_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    network().save(tmp_path / "build" / "network.safetensors")
    ran = []
    for line in re.findall(r"^    (\w+ .+)$", PAGE.replace("```", "\n"), re.MULTILINE):
        program, *arguments = shlex.split(line)
        if program == "spikeloop":
            with pytest.raises(SystemExit) as end:
                main(arguments)
            assert not end.value.code, capfd.readouterr().err
        elif program == "cc":
            subprocess.run([program, *arguments], check=True)
        else:
            continue
        ran.append(program)
    assert ran == ["spikeloop", "spikeloop", "spikeloop", "cc"]
    folder = tmp_path / "build" / "snn"
    core = (folder / "snn.core").read_text()
    named = set(re.findall(r"[\w.]+\.(?:v|h|c|sdc|xdc|rdl)\b", core))
    assert named | {"snn.core", "image.h", "spikeloop.o"} == {p.name for p in folder.iterdir()}
    assert (
        "create_clock -name aclk -period 83.333 [get_ports aclk]"
        in (folder / "snn.xdc").read_text()
    )
    (folder / "main.c").write_text("\n".join(re.findall(r"```c\n(.*?)```", PAGE, re.DOTALL)))
    strict = ["-std=c99", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-c", "main.c"]
    subprocess.run(["cc", *strict], cwd=folder, check=True)


def test_what_the_page_shows_and_no_test_runs_is_said() -> None:
    lines = re.findall(r"^    (fusesoc|python) ", PAGE, re.MULTILINE)
    assert sorted(lines) == sorted(BY_HAND) and "Run by hand" in PAGE


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--wrap", "axi"], "--name NAME is missing beside --wrap BUS: give both"),
        (["--name", "snn"], "--wrap BUS is missing beside --name NAME: give both"),
        (["--wrap", "apb", "--name", "snn"], "must be one of axi, wishbone, not 'apb'"),
        (["--wrap", "axi", "--name", "module"], "name must be a letter"),
    ],
)
def test_what_is_refused(
    arguments: list[str], message: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end:
        main(["verilog", "--chip", "hx8k", *arguments, "-o", str(tmp_path / "new")])
    assert end.value.code == 2 and message in capfd.readouterr().err
    assert not (tmp_path / "new").exists()
