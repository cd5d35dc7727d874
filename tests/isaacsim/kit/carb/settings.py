from kit_world import WORLD


class ISettings:
    """The tree of settings."""

    def set_bool(self, path: str, value: bool) -> None:
        self._set(path, value, bool)

    def set_int(self, path: str, value: int) -> None:
        self._set(path, value, int)

    def _set(self, path, value, kind):
        if type(value) is not kind or not path.startswith("/"):
            raise TypeError(f"incompatible function arguments: {path!r}, {value!r}")
        WORLD.settings[path] = value

    def get(self, path: str):
        return WORLD.settings.get(path)

    def get_as_string(self, path: str) -> str:
        return str(WORLD.settings.get(path, ""))


def get_settings() -> ISettings:
    WORLD.require_app(__name__)
    return ISettings()
