"""Each check of the doctor, made to fail."""

import os
import sys
import tomllib
from pathlib import Path

import pytest

from edge_agent.core.clock import NS_PER_MS, NS_PER_S, ManualClock, SystemClock, utc_now_ns
from edge_agent.core.errors import ConfigError, PortError
from edge_agent.service import (
    check_clock,
    check_decision,
    check_disk,
    check_limits,
    check_rights,
    check_wheels,
)
from edge_agent.service.bounded import Ended, run_bounded
from edge_agent.service.check_broker import BrokerFacts, judge_broker
from edge_agent.service.findings import (
    Finding,
    Verdict,
    exit_code,
    failure,
    good,
    lines,
    of_error,
    summary,
    warning,
)

ROOT = Path(__file__).parents[3]
MB = 1_000_000


# ---- findings ------------------------------------------------------------------------------


def test_warnings_do_not_change_the_exit_code_and_a_configuration_outranks_a_failure() -> None:
    fine = [good("a", "x"), warning("b", "y", "z")]
    broken = failure("c", "y", "z")
    permanent = of_error("d", ConfigError("no", where="key", fix="set it"))
    assert exit_code(fine) == 0
    assert exit_code([*fine, broken]) == 1
    assert exit_code([*fine, broken, permanent]) == 78
    assert exit_code([of_error("d", PortError("gone", fix="plug it in"))]) == 1


def test_a_line_says_what_to_do_only_when_there_is_something_to_do() -> None:
    assert list(lines(good("clock", "steady"))) == ["ok    clock       steady"]
    two = list(lines(failure("clock", "stands", "replace it")))
    assert two == ["fail  clock       stands", "                  fix: replace it"]
    assert summary([good("a", ""), failure("b", "", "")]) == "1 ok, 0 warn, 1 fail"


# ---- packages ------------------------------------------------------------------------------


def test_every_runtime_dependency_is_tried() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert {d.split(">")[0] for d in project["dependencies"]} == set(check_wheels.MODULES)


def test_a_package_that_does_not_load_is_named_with_its_message() -> None:
    found = check_wheels.judge_imports(check_wheels.try_imports(("json", "no_such_package")))
    assert found.verdict is Verdict.FAIL
    assert found.words.startswith("no_such_package does not load: ModuleNotFoundError")


def test_a_wheel_that_kills_the_process_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    killer = "import os, signal\nos.kill(os.getpid(), signal.SIGILL)\n"
    (tmp_path / "for_another_cpu.py").write_text(killer)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    found = check_wheels.judge_imports(check_wheels.try_imports(("json", "for_another_cpu")))
    assert found.verdict is Verdict.FAIL
    assert "for_another_cpu ends the process: Illegal instruction" in found.words


def test_a_wheel_that_hangs_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "hangs.py").write_text("import signal\nsignal.pause()\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    ended = check_wheels.try_imports(("hangs",), within_s=0.5)
    assert ended.code is None
    assert check_wheels.judge_imports(ended).verdict is Verdict.FAIL


def test_packages_that_load_are_counted() -> None:
    found = check_wheels.judge_imports(check_wheels.try_imports(("json", "math")))
    assert found.verdict is Verdict.OK
    assert found.words.startswith("2 packages load")


@pytest.mark.parametrize(
    ("requirement", "version", "said"),
    [
        ("msgspec>=0.20", "0.19", "msgspec 0.19, needs >=0.20"),
        ("msgspec>=0.20", None, "msgspec is not installed"),
        ("numpy >= ???", "2.0", "'numpy >= ???' cannot be read"),
    ],
)
def test_a_version_outside_its_range_is_named(
    requirement: str, version: str | None, said: str
) -> None:
    found = check_wheels.misfits([requirement], lambda _name: version)
    assert found == [said]
    assert check_wheels.judge_versions(found).verdict is Verdict.FAIL


@pytest.mark.parametrize(
    "text", ["msgspec>=0.20", "scipy>=9; extra == 'train'", "x; python_version<'3'"]
)
def test_versions_in_range_and_extras_are_no_problem(text: str) -> None:
    found = check_wheels.misfits([text], lambda _name: "0.21")
    assert check_wheels.judge_versions(found).verdict is Verdict.OK


def test_another_distribution_with_our_package_name_is_a_failure_that_names_it() -> None:
    assert check_wheels.judge_names(["edge-autonomy", "edge_autonomy"]).verdict is Verdict.OK
    found = check_wheels.judge_names(["edge-autonomy", "edge-agent"])
    assert found.verdict is Verdict.FAIL
    assert "uninstall edge-agent" in found.fix


def test_a_helper_program_ends_in_its_time_and_its_output_is_kept() -> None:
    assert run_bounded([sys.executable, "-c", "print(1)"], 30) == Ended(0, "1\n", "")
    assert run_bounded(["sleep", "60"], 0.2).code is None


# ---- clock ---------------------------------------------------------------------------------

STEADY = check_clock.ClockFacts(0, 40, 0, 1_800_000_000 * NS_PER_S, "tsc", True)


@pytest.mark.parametrize(
    ("facts", "verdict", "said"),
    [
        (STEADY, Verdict.OK, "steady to 40 ns"),
        (STEADY._replace(steps_back=1), Verdict.FAIL, "goes back 1 times"),
        (STEADY._replace(finest_ns=4 * NS_PER_MS), Verdict.FAIL, "finest step 4000000 ns"),
        (STEADY._replace(utc_ns=0), Verdict.WARN, "wall clock says 1970"),
        (STEADY._replace(wall_moved_ns=-NS_PER_S), Verdict.WARN, "set by -1.000 s"),
        (STEADY._replace(synchronised=False), Verdict.WARN, "not synchronised"),
        (STEADY._replace(synchronised=None), Verdict.OK, "steady"),
    ],
)
def test_what_is_said_of_a_clock(
    facts: check_clock.ClockFacts, verdict: Verdict, said: str
) -> None:
    found = check_clock.judge_clock(facts)
    assert found.verdict is verdict
    assert said in found.words


def test_the_clock_of_this_machine_is_read_in_a_twentieth_of_a_second() -> None:
    facts = check_clock.read_clock(SystemClock(), utc_now_ns, Path("/"))
    assert facts.steps_back == 0
    assert 0 < facts.finest_ns < NS_PER_MS


def test_a_clock_that_stands_still_and_one_that_goes_back_are_seen(tmp_path: Path) -> None:
    class Broken(ManualClock):
        def now_ns(self) -> int:
            self.advance_ns(-5)
            return super().now_ns()

    facts = check_clock.read_clock(ManualClock(7), lambda: 0, tmp_path)
    assert facts.source == "unknown"
    assert facts.finest_ns > NS_PER_MS
    assert check_clock.read_clock(Broken(7), lambda: 0, tmp_path).steps_back > 0


# ---- disk ----------------------------------------------------------------------------------

ROOMY = check_disk.DiskFacts(Path("/s"), "", NS_PER_MS, 900 * MB, 50_000, 60_000, "ext4", ())


@pytest.mark.parametrize(
    ("facts", "verdict", "said"),
    [
        (ROOMY, Verdict.OK, "900 MB free"),
        (ROOMY._replace(inodes=0, inodes_free=0), Verdict.OK, "900 MB free"),  # btrfs counts none
        (ROOMY._replace(fault="Read-only file system"), Verdict.FAIL, "Read-only file system"),
        (ROOMY._replace(free_bytes=63 * MB), Verdict.FAIL, "63 MB"),
        (ROOMY._replace(inodes_free=9), Verdict.FAIL, "9 files are left"),
        (ROOMY._replace(wear=("worn",)), Verdict.WARN, "worn"),
        (ROOMY._replace(file_system="tmpfs"), Verdict.WARN, "gone with the power"),
        (ROOMY._replace(free_bytes=500 * MB), Verdict.WARN, "recordings may take 512 more"),
        (ROOMY._replace(sync_ns=2 * NS_PER_S), Verdict.WARN, "took 2000 ms"),
    ],
)
def test_what_is_said_of_a_disk(facts: check_disk.DiskFacts, verdict: Verdict, said: str) -> None:
    found = check_disk.judge_disk(facts, 512 * MB)
    assert found.verdict is verdict
    assert said in found.words


def test_a_folder_that_cannot_be_written_is_found_by_writing(tmp_path: Path) -> None:
    """/proc refuses root too; a file where the folder should be is as bad."""
    (tmp_path / "file").write_text("x")
    for folder in (Path("/proc/sys"), tmp_path / "file" / "state"):
        facts = check_disk.read_disk(folder, SystemClock(), Path("/"))
        assert check_disk.judge_disk(facts, 0).verdict is Verdict.FAIL


def test_the_probe_leaves_nothing_behind(tmp_path: Path) -> None:
    facts = check_disk.read_disk(tmp_path / "not" / "yet", SystemClock(), Path("/"))
    assert facts.fault == ""
    assert facts.folder == tmp_path
    assert list(tmp_path.iterdir()) == []


def _block_device(root: Path, life: str, end: str, errors: str) -> int:
    """A /sys with one flash chip of one partition; its device number."""
    disk = root / "sys/devices/mmc0/mmcblk0"
    part = disk / "mmcblk0p2"
    (disk / "device").mkdir(parents=True)
    part.mkdir()
    (part / "partition").write_text("2\n")
    (disk / "device/life_time").write_text(life)
    (disk / "device/pre_eol_info").write_text(end)
    ext4 = root / "sys/fs/ext4/mmcblk0p2"
    ext4.mkdir(parents=True)
    (ext4 / "errors_count").write_text(errors)
    numbers = root / "sys/dev/block"
    numbers.mkdir(parents=True)
    (numbers / "179:2").symlink_to(part)
    return os.makedev(179, 2)


@pytest.mark.parametrize(
    ("life", "end", "errors", "said"),
    [
        ("0x01 0x02\n", "0x01\n", "0\n", []),
        ("0x01 0x0a\n", "0x01\n", "0\n", ["at least 90 %"]),
        ("0x00 0x00\n", "0x03\n", "0\n", ["reserve blocks"]),
        ("0x01 0x01\n", "0x01\n", "3\n", ["ext4 has counted 3 errors"]),
        ("", "", "", []),
    ],
)
def test_wear_is_read_from_where_the_chip_reports_it(
    tmp_path: Path, life: str, end: str, errors: str, said: list[str]
) -> None:
    device = _block_device(tmp_path, life, end, errors)
    found = check_disk.wear(device, tmp_path)
    assert len(found) == len(said)
    assert all(words in f for words, f in zip(said, found, strict=True))


def test_nonsense_in_sys_is_no_wear(tmp_path: Path) -> None:
    device = _block_device(tmp_path, "zz ??\n", "later\n", "\xff\n")
    assert check_disk.wear(device, tmp_path) == ()


def test_the_type_of_a_file_system_is_the_kernels_word(tmp_path: Path) -> None:
    (tmp_path / "proc/self").mkdir(parents=True)
    table = tmp_path / "proc/self/mountinfo"
    table.write_text("36 35 0:31 / /state rw - tmpfs none rw\nshort\n")
    assert check_disk.file_system(os.makedev(0, 31), tmp_path) == "tmpfs"
    assert check_disk.file_system(os.makedev(8, 1), tmp_path) == "unknown"
    assert check_disk.file_system(0, tmp_path / "nowhere") == "unknown"


# ---- rights --------------------------------------------------------------------------------


def _judge(path: Path, *, secret: bool, uid: int | None = None) -> Finding:
    own = os.getuid() if uid is None else uid
    return check_rights.judge_rights([check_rights.read_path(path, secret=secret)], own)


@pytest.mark.parametrize(
    ("mode", "secret", "verdict"),
    [
        (0o600, True, Verdict.OK),
        (0o640, True, Verdict.FAIL),
        (0o604, True, Verdict.FAIL),
        (0o644, False, Verdict.OK),
        (0o666, False, Verdict.FAIL),
    ],
)
def test_a_secret_is_for_its_owner_and_nothing_is_writable_by_all(
    tmp_path: Path, mode: int, secret: bool, verdict: Verdict
) -> None:
    file = tmp_path / "key"
    file.write_text("x")
    file.chmod(mode)
    assert _judge(file, secret=secret).verdict is verdict


def test_a_key_that_is_absent_a_folder_or_another_users_is_found(tmp_path: Path) -> None:
    assert _judge(tmp_path / "none", secret=True).verdict is Verdict.FAIL
    assert _judge(tmp_path, secret=True).verdict is Verdict.FAIL
    foreign = check_rights.PathFacts(tmp_path, secret=False, mode=0o40755, uid=4711, fault="")
    assert check_rights.judge_rights([foreign], 1000).verdict is Verdict.WARN
    assert check_rights.judge_rights([foreign], 0).verdict is Verdict.OK


# ---- limits --------------------------------------------------------------------------------


def _groups(root: Path) -> Path:
    (folder := root / "sys/fs/cgroup").mkdir(parents=True)
    return folder


def test_limits_are_enforced_by_either_version_of_control_groups(tmp_path: Path) -> None:
    two, one = _groups(tmp_path / "two"), _groups(tmp_path / "one")
    (two / "cgroup.controllers").write_text("cpuset cpu io memory pids\n")
    for name in ("cpu", "memory", "pids", "unified"):
        (one / name).mkdir()
    for root in (tmp_path / "two", tmp_path / "one"):
        found = check_limits.judge_limits(check_limits.read_controllers(root))
        assert found.verdict is Verdict.OK, root


@pytest.mark.parametrize(
    ("controllers", "missing", "fix"),
    [
        ("cpuset cpu io pids", "MemoryMax of", "cgroup_enable=memory"),  # a Raspberry Pi's
        ("cpu memory", "TasksMax of", "are mounted"),
        ("", "MemoryMax and TasksMax of", "are mounted"),
        (None, "MemoryMax and TasksMax of", "are mounted"),
    ],
)
def test_a_limit_that_is_none_is_named_with_what_to_do(
    tmp_path: Path, controllers: str | None, missing: str, fix: str
) -> None:
    if controllers is not None:
        (_groups(tmp_path) / "cgroup.controllers").write_text(controllers)
    found = check_limits.judge_limits(check_limits.read_controllers(tmp_path))
    assert found.verdict is Verdict.WARN
    assert missing in found.words
    assert fix in found.fix


# ---- model and running agent ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("slow_ns", "verdict"),
    [(NS_PER_MS, Verdict.OK), (6 * NS_PER_MS, Verdict.WARN), (30 * NS_PER_MS, Verdict.FAIL)],
)
def test_the_slow_runs_of_a_model_count_not_its_median(slow_ns: int, verdict: Verdict) -> None:
    durations = [NS_PER_MS // 10] * 98 + [slow_ns] * 2
    found = check_decision.judge_latency(durations, 20 * NS_PER_MS, 100 * NS_PER_MS)
    assert found.verdict is verdict


def test_a_model_slower_than_its_proposals_may_be_old_fails() -> None:
    found = check_decision.judge_latency([30 * NS_PER_MS], 100 * NS_PER_MS, 20 * NS_PER_MS)
    assert found.verdict is Verdict.FAIL


def test_an_agent_that_runs_by_other_files_is_told_apart() -> None:
    control = {"version": "1", "mode": "ACTIVE", "hashes": {"config": "a", "envelope": "b"}}
    same = {"config": "a", "envelope": "b"}
    judge = check_decision.judge_running
    assert judge(None, same, "1").verdict is Verdict.OK
    assert judge(control, same, "1").verdict is Verdict.OK
    changed = judge(control, {"config": "c", "envelope": "b"}, "2")
    assert changed.verdict is Verdict.WARN
    assert "version (1, installed 2), config" in changed.words
    assert judge({}, same, "1").verdict is Verdict.WARN


# ---- broker --------------------------------------------------------------------------------

HEARD = BrokerFacts("b:1", "", NS_PER_MS, True, {}, {}, (), {"t"}, ("out",), ("t",))


@pytest.mark.parametrize(
    ("facts", "verdicts", "said"),
    [
        (HEARD, ["ok"], "round trip 1.0 ms"),
        (HEARD._replace(problem="Not authorized"), ["fail"], "Not authorized"),
        (HEARD._replace(denied={"out": "Not authorized"}), ["ok", "fail"], "throws away"),
        (HEARD._replace(unanswered=("out",)), ["ok", "fail"], "does not acknowledge"),
        (HEARD._replace(refused={"t": "Not authorized"}), ["ok", "fail"], "refuses"),
        (HEARD._replace(heard=set()), ["ok", "warn"], "nothing was heard on t"),
        (HEARD._replace(round_trip_ns=None), ["warn"], "does not come back"),
        (HEARD._replace(round_trip_ns=None, tells_denials=False), ["warn"], "no MQTT 5"),
    ],
)
def test_what_is_said_of_a_broker(facts: BrokerFacts, verdicts: list[str], said: str) -> None:
    found = judge_broker("broker", facts)
    assert [f.verdict.value for f in found] == verdicts
    assert said in found[-1].words
