from kit_world import WORLD

WORLD.require_app(__name__)


def get_version():
    core = {"5.1": "5.1.0", "6.0": "6.0.1"}[WORLD.version]
    major, minor, patch = core.split(".")
    return core, "", major, minor, patch, "", "", ""
