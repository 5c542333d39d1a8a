"""A reload where systemd hides the credentials: what is tried all the same."""

from edge_agent.app_reload import without_credentials
from edge_agent.config import Config, SerialConfig, Settings, settings_of
from edge_agent.gateway.plane_settings import PlaneSettings
from edge_agent.safety.devices.air_handler import ENVELOPE

SENSORS = tuple(sensor.name for sensor in ENVELOPE.sensors)


def _settings(*, key_file: str = "", key_credential: str = "", keyring_file: str = "") -> Settings:
    serial = SerialConfig(
        port="p", sensors=SENSORS, key_file=key_file, key_credential=key_credential
    )
    plane = PlaneSettings(id="ahu-7", host="h", keyring_file=keyring_file)
    return settings_of(Config(mode="real", serial=serial, plane=plane), "test")


def test_what_the_running_agent_uses_is_left_out() -> None:
    running = {"commands": {}, "serial": {"keyed": 1}}
    tried = without_credentials(_settings(key_credential="bridge"), running).config
    assert tried.plane is None
    assert tried.serial == SerialConfig(port="p", sensors=SENSORS)


def test_what_it_does_not_use_is_tried() -> None:
    settings = _settings(key_credential="bridge")
    for running in ({}, {"serial": {"keyed": 0}}):
        assert without_credentials(settings, running) == settings


def test_files_are_tried_as_ever() -> None:
    settings = _settings(key_file="k", keyring_file="f")
    assert without_credentials(settings, {}) == settings
