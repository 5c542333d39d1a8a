"""Power is cut at every command of an upgrade and of a roll-back, one after the other.

The script is the one that ships. systemctl is a stand-in, as no unit may be touched here; what a
real systemd makes of it is `make test-upgrade`. Every other command is the machine's, behind a
wrapper that counts and, at the chosen one, ends the script and all its children at once.
"""

import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from edge_agent.service.upgrade import read_note

SCRIPT = Path(__file__).parents[2] / "deploy" / "deb" / "versions"
UNITS = ("edge-agent", "edge-agent-gateway")
COUNTED = ("cp", "mv", "ln", "rm", "sync", "mkdir", "systemctl")
UPGRADE_CUTS, BACK_CUTS = range(1, 34), range(1, 27)  # the last of each comes after the end
# A copy is cut in the middle, when its folder is there and nothing is in it.
_WRAPPER = """#!/bin/sh
read -r count <{count}; count=$((count + 1)); echo $count >{count}
if [ $count -eq {cut_at} ]; then
    if [ {name} = cp ]; then
        for last; do :; done
        case "$1" in -al) {mkdir} "$last" ;; *) : >"$last" ;; esac
    fi
    kill -9 0
fi
exec {real} "$@"
"""
_SYSTEMCTL = """#!/bin/sh
echo "$@" >>{log}
case "$1" in show) echo {state} ;; is-enabled) exit {enabled} ;; esac
"""


class Machine:
    """A root of its own, with the program's folders and the commands that the script finds."""

    def __init__(self, folder: Path, state: str = "active") -> None:
        self.root = folder / "root"
        self.base = self.root / "opt" / "edge-agent"
        self.notes = self.root / "var" / "lib" / "edge-autonomy"
        self.units = self.root / "usr" / "lib" / "systemd" / "system"
        self.log = folder / "systemctl.log"
        self._count, self._counting = folder / "count", folder / "counting"
        self._systemctl = folder / "stand-in" / "systemctl"
        running = self.root / "run/systemd/system"
        for path in (self.units, running, self._counting, self._systemctl.parent):
            path.mkdir(parents=True)
        self.answer(state)

    def answer(self, state: str, *, enabled: bool = True) -> None:
        """What systemctl says of every unit from now on."""
        values = {"log": self.log, "state": state, "enabled": 0 if enabled else 1}
        self._systemctl.write_text(_SYSTEMCTL.format(**values), "utf-8")
        self._systemctl.chmod(0o755)

    def unpack(self, version: str) -> None:
        """What dpkg does: every file is another one afterwards."""
        package = self.base / "package"
        shutil.rmtree(package, ignore_errors=True)
        files = {"bin/python3": "#!/bin/sh\n", "bin/edge-agent": version}
        files |= {f"systemd/{unit}.service": f"{unit} of {version}" for unit in UNITS}
        for name, text in files.items():
            (package / name).parent.mkdir(parents=True, exist_ok=True)
            (package / name).write_text(text, "utf-8")
            (package / name).chmod(0o755)

    def run(self, *words: str, cut_at: int = 0) -> bool:
        """Whether it came to its end; `cut_at` 0: nothing cuts it off."""
        path = f"{self._systemctl.parent}:/usr/bin:/bin"
        if cut_at:
            self._count_to(cut_at)
            path = f"{self._counting}:{path}"
        environment = {"PATH": path, "EDGE_AUTONOMY_ROOT": str(self.root)}
        done = subprocess.run(
            ["/bin/sh", SCRIPT, *words],
            env=environment,
            start_new_session=True,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        assert done.returncode in {0, -9}, done.stderr
        return done.returncode == 0

    def _count_to(self, cut_at: int) -> None:
        self._count.write_text("0\n", "ascii")
        for name in COUNTED:
            real = self._systemctl if name == "systemctl" else shutil.which(name)
            wrapper = self._counting / name
            values = {"count": self._count, "cut_at": cut_at, "name": name, "real": real}
            wrapper.write_text(_WRAPPER.format(**values, mkdir=shutil.which("mkdir")), "utf-8")
            wrapper.chmod(0o755)

    def current(self) -> str:
        """The version that would run, which is there as a whole."""
        folder = self.base / "current"
        version = folder.resolve(strict=True).name
        assert (folder / "bin" / "edge-agent").read_text("utf-8") == version
        assert (folder / "bin" / "python3").is_file()
        return version

    def installed_units(self) -> set[str]:
        """The versions that the units are of."""
        texts = [(self.units / f"{unit}.service").read_text("utf-8") for unit in UNITS]
        return {text.rpartition(" ")[2] for text in texts}

    def note(self, name: str) -> Mapping[str, str]:
        """`trial` or `outcome`; empty when it is not there."""
        return read_note(self.notes / name)

    def calls(self, verb: str) -> list[str]:
        lines = self.log.read_text("utf-8").splitlines() if self.log.exists() else []
        return [line for line in lines if line.startswith(verb)]


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """The first version, which has held."""
    made = Machine(tmp_path)
    made.unpack("1.0")
    assert made.run("install", "1.0")
    made.log.unlink()
    return made


def test_a_first_installation_starts_nothing_and_is_on_no_trial(tmp_path: Path) -> None:
    machine = Machine(tmp_path, state="inactive")
    machine.unpack("1.0")
    assert machine.run("install", "1.0")
    assert machine.current() == "1.0"
    assert machine.installed_units() == {"1.0"}
    assert not machine.note("trial")
    assert not machine.calls("start")


@pytest.mark.parametrize("cut_at", UPGRADE_CUTS)
def test_an_upgrade_that_is_cut_off_leaves_one_whole_version(machine: Machine, cut_at: int) -> None:
    machine.unpack("2.0")
    machine.run("install", "2.0", cut_at=cut_at)
    machine.current()
    machine.run("boot")  # power is back
    assert machine.installed_units() == {machine.current()}
    on_trial = machine.note("trial")
    assert bool(on_trial) == (machine.current() == "2.0")
    if on_trial:
        assert (on_trial["NEW"], on_trial["GOOD"]) == ("2.0", "1.0")
        assert (machine.base / "versions/1.0/bin/edge-agent").read_text("utf-8") == "1.0"
    machine.run("install", "2.0")  # dpkg --configure -a
    assert machine.current() == "2.0"
    assert machine.installed_units() == {"2.0"}
    assert machine.note("trial")["GOOD"] == "1.0"


@pytest.mark.parametrize("cut_at", BACK_CUTS)
def test_a_way_back_that_is_cut_off_ends_with_the_old_version(
    machine: Machine, cut_at: int
) -> None:
    machine.unpack("2.0")
    machine.run("install", "2.0")
    _note_two_cuts_and_a_watch(machine)
    machine.run("boot", cut_at=cut_at)
    machine.current()
    machine.run("boot")
    assert machine.current() == "1.0"
    assert machine.installed_units() == {"1.0"}
    assert not machine.note("trial")
    assert machine.note("outcome")["RESULT"] == "rolled-back"
    assert "went down 3 times" in machine.note("outcome")["WHY"]


def test_the_last_cut_of_both_comes_after_their_end(machine: Machine) -> None:
    """Or the two tests above would not have cut at every command."""
    machine.unpack("2.0")
    assert machine.run("install", "2.0", cut_at=UPGRADE_CUTS[-1])
    _note_two_cuts_and_a_watch(machine)
    assert machine.run("boot", cut_at=BACK_CUTS[-1])


def _note_two_cuts_and_a_watch(machine: Machine, boot: str = "another") -> None:
    trial = machine.notes / "trial"
    text = trial.read_text("utf-8").replace("CUTS=0", "CUTS=2")
    trial.write_text(text.replace("WATCHED=", f"WATCHED={boot}"), "utf-8")


def test_a_judge_that_is_started_again_is_no_cut(machine: Machine) -> None:
    machine.unpack("2.0")
    machine.run("install", "2.0")
    boot = Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
    for watched in (boot, ""):  # in this boot; or a shutdown that told it to end
        _note_two_cuts_and_a_watch(machine, watched)
        machine.run("boot")
        assert machine.note("trial")["CUTS"] == "2"
        machine.run("install", "2.0")


def test_what_ran_runs_again_also_when_a_disk_is_full_half_way(machine: Machine) -> None:
    machine.unpack("2.0")
    (machine.base / "package/systemd/edge-agent.service").unlink()  # put_units fails
    with pytest.raises(AssertionError, match=r"edge-agent\.service"):
        machine.run("install", "2.0")
    assert machine.current() == "1.0"
    assert machine.calls("stop edge-agent edge-agent-gateway")
    assert machine.calls("start --no-block edge-agent edge-agent-gateway")


def test_a_disk_that_takes_no_note_does_not_keep_a_version_that_does_not_hold(
    machine: Machine,
) -> None:
    machine.unpack("2.0")
    machine.run("install", "2.0")
    (machine.notes / "outcome.new").mkdir()  # so that nothing can be written there
    machine.run("back")
    assert machine.current() == "1.0"
    assert not machine.note("trial")


def test_an_upgrade_that_cannot_be_noted_does_not_begin(machine: Machine) -> None:
    machine.unpack("2.0")
    (machine.notes / "trial.new").mkdir()
    with pytest.raises(AssertionError, match=r"trial\.new"):
        machine.run("install", "2.0")
    assert machine.current() == "1.0"
    assert machine.calls("start --no-block edge-agent edge-agent-gateway")


def test_two_upgrades_in_a_row_go_back_to_the_version_that_held(machine: Machine) -> None:
    for version in ("2.0", "3.0"):
        machine.unpack(version)
        machine.run("install", version)
    assert machine.note("trial")["GOOD"] == "1.0"
    kept = {path.name for path in (machine.base / "versions").iterdir()}
    assert kept == {"1.0", "3.0"}


def test_the_same_version_again_is_repaired_without_a_trial(machine: Machine) -> None:
    program = machine.base / "current" / "bin" / "edge-agent"
    program.write_text("damaged", "utf-8")
    machine.unpack("1.0")
    machine.run("install", "1.0")
    assert machine.current() == "1.0"
    assert not machine.note("trial")


def test_a_downgrade_is_on_trial_too(machine: Machine) -> None:
    machine.unpack("0.9")
    machine.run("install", "0.9")
    assert (machine.note("trial")["NEW"], machine.note("trial")["GOOD"]) == ("0.9", "1.0")


def test_a_person_can_go_back(machine: Machine) -> None:
    machine.unpack("2.0")
    machine.run("install", "2.0")
    machine.run("back")
    assert machine.current() == "1.0"
    assert machine.note("outcome")["WHY"] == "a person wants it back"


def test_no_way_back_to_a_version_whose_python_is_gone(machine: Machine) -> None:
    machine.unpack("2.0")
    machine.run("install", "2.0")
    (machine.base / "versions/1.0/bin/python3").unlink()
    machine.run("back")
    assert machine.current() == "2.0"
    assert machine.note("outcome")["RESULT"] == "no-way-back"


def test_crashes_of_one_version_are_not_the_others(machine: Machine) -> None:
    crashes = machine.root / "var/lib/edge-agent/starts.json"
    crashes.parent.mkdir()
    machine.unpack("2.0")
    for verb in (("install", "2.0"), ("back",)):
        crashes.touch()
        machine.run(*verb)
        assert not crashes.exists()


def test_what_became_of_one_upgrade_is_not_told_of_the_next(machine: Machine) -> None:
    machine.unpack("2.0")
    machine.run("install", "2.0")
    machine.run("back")
    machine.unpack("3.0")
    machine.run("install", "3.0")
    assert not machine.note("outcome")


def test_where_nobody_is_to_be_judged_a_trial_of_before_ends(machine: Machine) -> None:
    machine.unpack("2.0")
    machine.run("install", "2.0")
    machine.unpack("3.0")
    machine.answer("inactive", enabled=False)
    machine.run("install", "3.0")
    assert machine.current() == "3.0"
    assert not machine.note("trial")


def test_a_stop_that_takes_long_is_forgotten_at_the_next_start(tmp_path: Path) -> None:
    """Seen at three looks; then it runs again, and fails."""
    text = SCRIPT.read_text("utf-8")
    function = text[text.index("stopped_by_hand()") :].split("\n}\n")[0] + "\n}\n"
    stand_in = 'systemctl() { echo "7 edge-agent.service stop running"; }\nBY_HAND=""\n'
    looks = "stopped_by_hand edge-agent deactivating 7 || exit 3\n" * 3
    then = "stopped_by_hand edge-agent active 0 && exit 4\nstopped_by_hand edge-agent failed 0\n"
    program = tmp_path / "looks"
    program.write_text(function + stand_in + looks + then, "utf-8")
    assert subprocess.run(["/bin/sh", program], check=False).returncode == 1


def test_the_program_uses_no_folder_but_its_own() -> None:
    """The test's own root is honoured everywhere, or this test would touch the machine."""
    assert os.environ.get("EDGE_AUTONOMY_ROOT") is None
    code = [line.partition("#")[0] for line in SCRIPT.read_text("utf-8").splitlines()]
    paths = {path for line in code for path in re.findall(r"(?<![\w$}./*-])/[a-z][\w/.-]*", line)}
    assert paths == {"/dev/null", "/proc/sys/kernel/random/boot_id", "/proc/uptime"}
