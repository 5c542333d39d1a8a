"""The generated limits: the envelope's own numbers, in C that a name cannot break."""

import re
from dataclasses import replace

import pytest

from edge_agent.core.errors import ConfigError
from edge_agent.safety.devices.air_handler import ENVELOPE
from edge_agent.safety.header import render, render_mcu
from edge_agent.safety.limits import ActuatorLimits
from tests.unit.safety import lab


def defined(text: str) -> dict[str, str]:
    return dict(re.findall(r"#define ENVELOPE_(\w+) (\S+)", text))


def rows(text: str, field: str) -> list[int]:
    """The numbers of one field in the order of their rows."""
    return [int(n) for n in re.findall(rf"\.{field} = (?:INT64_C\()?(-?\d+)", text)]


def test_sizes_are_those_of_the_envelope() -> None:
    sizes = defined(render(ENVELOPE))
    assert sizes["SENSORS"] == "9"
    assert sizes["ACTUATORS"] == "4"
    assert sizes["INTERLOCKS"] == "3"
    assert sizes["FORCES"] == "5"
    assert sizes["EXCLUSIVES"] == "1"


def test_the_hash_is_there_in_full_and_as_a_number() -> None:
    text = render(ENVELOPE)
    digest = ENVELOPE.sha256()
    assert f"sha256 {digest}\n" in text
    assert defined(text)["HASH"] == f"UINT32_C(0x{digest[:8]})"


@pytest.mark.parametrize(
    "field",
    [
        "min_counts",
        "max_counts",
        "rate_up_counts_per_s",
        "rate_down_counts_per_s",
        "travel_max_counts",
        "travel_window_ns",
        "dwell_ns",
    ],
)
def test_every_limit_of_every_actuator_is_written_as_it_is(field: str) -> None:
    wanted = [getattr(a, field) for a in ENVELOPE.actuators]
    assert rows(render(ENVELOPE), field) == wanted


def test_the_way_to_safe_is_written_as_it_is() -> None:
    text = render(ENVELOPE)
    safe = [a.safe for a in ENVELOPE.actuators]
    assert rows(text, "safe_counts") == [s.counts for s in safe]
    assert rows(text, "hold_ns") == [s.hold_ns for s in safe]
    assert rows(text, "ramp_counts_per_s") == [s.ramp_counts_per_s for s in safe]


def test_each_interlock_knows_its_sensor_and_its_forces() -> None:
    text = render(ENVELOPE)
    assert rows(text, "sensor") == [5, 1, 0]
    assert rows(text, "first_force") == [0, 2, 4]
    assert rows(text, "end_force") == [2, 4, 5]
    assert rows(text, "actuator") == [1, 2, 0, 1, 2]


def test_a_table_without_rows_still_has_one_element_for_c() -> None:
    text = render(lab.envelope(locked=False))
    assert "ENVELOPE_LOCKS[] = {\n    {\n        0\n    },\n};" in text
    assert defined(text)["INTERLOCKS"] == "0"


def test_a_name_cannot_leave_its_comment() -> None:
    def hostile(a: ActuatorLimits) -> ActuatorLimits:
        return replace(a, name="*/ evil /*\n#error", unit="\\\n*/")

    good = lab.envelope(locked=False)
    text = render(replace(good, actuators=tuple(map(hostile, good.actuators[:1]))))
    assert "/* __ evil ____error, counts of 1/10 ____ */" in text


def test_an_envelope_that_contradicts_itself_has_no_header() -> None:
    with pytest.raises(ConfigError, match="no actuator"):
        render(replace(lab.envelope(locked=False), actuators=()))


def test_an_envelope_that_contradicts_itself_has_no_header_for_a_microcontroller() -> None:
    with pytest.raises(ConfigError, match="no actuator"):
        render_mcu(replace(lab.envelope(locked=False), actuators=()), (), 0)


def test_every_sensor_that_a_microcontroller_should_measure_must_exist() -> None:
    with pytest.raises(ConfigError, match=r"no sensor absent, missing$"):
        render_mcu(lab.envelope(), ("absent", "level", "missing"), 0)


def test_a_microcontroller_gets_its_schema_dead_man_and_leases() -> None:
    pump, valve = lab.envelope().actuators
    envelope = replace(
        lab.envelope(),
        actuators=(replace(pump, lease_ns=lab.S // 4), replace(valve, lease_ns=lab.S)),
    )
    assert render_mcu(envelope, ("level",), 0xABC).endswith(
        "};\n\n"
        "#define EB1_SCHEMA_HASH UINT32_C(0x00000abc)\n"
        "#ifndef EB1_DEADMAN_MS /* a build may choose a shorter one */\n"
        "#define EB1_DEADMAN_MS 250\n"
        "#endif\n"
        "static const uint16_t EB1_LEASES_MS[] = {250, 500};\n"
        "\n"
        "#endif\n"
    )


def test_equal_envelopes_give_equal_text() -> None:
    assert render(lab.envelope()) == render(lab.envelope())
