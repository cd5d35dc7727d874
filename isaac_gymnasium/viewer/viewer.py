"""`Viewer`: a session, its picture and its controls behind one address."""

from __future__ import annotations

import contextlib
import ipaddress
import logging
import math
import threading
import time
from collections.abc import Callable
from typing import Any

import torch

from isaac_gymnasium.locks import close_at_exit
from isaac_gymnasium.rendering.frames import FrameMaker
from isaac_gymnasium.rendering.view import Lens
from isaac_gymnasium.scene.model import Vec3
from isaac_gymnasium.transforms import quat_rotate
from isaac_gymnasium.viewer.session import Policy, Session

try:
    import viser

    from isaac_gymnasium.viewer.panel import Panel
    from isaac_gymnasium.viewer.world import World
except ImportError as error:
    raise ImportError(
        f"the viewer is not usable here ({error}): pip install isaac-gymnasium[viewer]"
    ) from error

__all__ = ["Viewer"]

logger = logging.getLogger("isaac_gymnasium.viewer")

_PICTURES = 30.0
"""A second, at most."""
_PLOTS = 4.0
"""A second."""
_SHOWN = 64
_ROOM = 1.0
"""For each that walks about, m."""
_FOV = math.radians(40.0)


class Viewer:
    """A live view of an environment in the browser.

    It steps the environment in a thread of its own: leave the environment alone while it runs.

    Args:
        env: A vector environment of this package with same-step autoreset.
        policy: Maps observations (N, O) to actions (N, A); without one the actions are random
            until the sliders are moved.
        host: Address to listen on. Anyone who reaches it can control the environment; the default
            is this machine alone.
        port: Where; the next free one is taken if it is not.
        seconds: How far back one can go, in the environment's time.
        make: Makes such an environment with changed task parameters, which the viewer then owns;
            None leaves the parameters as they are.

    Attributes:
        session: Steps and remembers.
        url: Where to look.

    Raises:
        ImportError: If viser is not installed; the message says which extra to install.
    """

    def __init__(
        self,
        env: Any,
        policy: Policy | None = None,
        *,
        host: str = "127.0.0.1",
        port: int = 8080,
        seconds: float = 10.0,
        make: Callable[[dict[str, Any]], Any] | None = None,
    ) -> None:
        self._policy, self._seconds, self._make = policy, seconds, make
        self._made: Any = None
        self._changed: dict[str, Any] = {}
        if not _is_loopback(host):
            logger.warning("the viewer on %s can be controlled by whoever reaches it", host)
        self._server = viser.ViserServer(host=host, port=port, verbose=False)
        self.url = f"http://{host}:{self._server.get_port()}"
        self._lock = threading.RLock()
        self._closed = threading.Event()
        self._show(env)
        self._thread = threading.Thread(target=self._run, name="viewer", daemon=True)
        self._thread.start()
        close_at_exit(self)

    def _show(self, env: Any, before: Session | None = None) -> None:
        self._server.scene.reset()
        self._server.gui.reset()
        self.session = Session(env, self._policy, seconds=self._seconds)
        if before is not None and before.sliders.shape == self.session.sliders.shape:
            self.session.source, self.session.sliders = before.source, before.sliders
        base = self.session.env
        task = base.task
        shown = min(base.num_envs, _SHOWN)
        self._maker = maker = FrameMaker(base.engine, task.viewpoint)
        self._centers = maker.layout(shown, room=_ROOM)
        self._origins = base.engine.env_origins[:shown].cpu()
        self._start = maker.walked(self.session.moments[-1].poses[:shown])
        self._world = World(self._server, self.session.renderer, self._centers)
        plain = {name: getattr(task, name) for name in type(task).parameters()}
        plain = {
            name: value for name, value in plain.items() if isinstance(value, (int, float, str))
        }
        self.panel = Panel(
            self._server,
            self.session,
            shown,
            maker.follows,
            plain,
            self._rebuild if self._make is not None else None,
        )
        self._aimed: int | None = None
        position, target = self._aim()
        camera = self._server.initial_camera
        camera.fov, camera.position, camera.look_at = _FOV, position, target

    def _aim(self) -> tuple[Vec3, Vec3]:
        """Where the camera stands and looks, so that what is chosen is seen."""
        near = self._centers
        if self._maker.uneven or self._aimed is not None:
            near = torch.zeros(1, 3)
        pose = self._maker.overview(near, Lens(width=1, height=1, fov=_FOV))
        ahead = quat_rotate(pose[3:], torch.tensor([0.0, 0.0, 1.0]))
        distance = (near.mean(0) - pose[:3]) @ ahead
        target = pose[:3] + distance * ahead
        # On a terrain neighbours are far off.
        away = 3.0 if self._maker.uneven and self._aimed is None else 1.2
        x, y, z = (target - away * distance * ahead).tolist()
        u, v, w = target.tolist()
        return (x, y, z), (u, v, w)

    def _rebuild(self, changed: dict[str, Any]) -> None:
        """Makes the environment anew; the old one stays where that fails."""
        assert self._make is not None
        with self._lock:
            changed = {**self._changed, **changed}
            made = self._make(changed)
            old, self._made, self._changed = self._made, made, changed
            panel = self.panel
            self._show(made, self.session)
            self.panel.speed = panel.speed
            self.panel.set_playing(panel.playing)
            if old is not None:
                old.close()

    def _run(self) -> None:
        due = drawn = plotted = time.perf_counter()
        while not self._closed.is_set():
            now = time.perf_counter()
            with self._lock:
                panel, session = self.panel, self.session
                try:
                    if panel.playing and now >= due:
                        session.step()
                        # Real time where the machine keeps up, as fast as it goes elsewhere.
                        due = max(due + session.step_dt / panel.speed, now)
                    if now - drawn >= 1.0 / _PICTURES:
                        drawn = now
                        self._draw()
                    if now - plotted >= 1.0 / _PLOTS:
                        plotted = now
                        panel.refresh()
                except Exception:
                    if self._closed.is_set():
                        return
                    logger.exception("the viewer stops playing")
                    panel.set_playing(False)
            wait = min(due, drawn + 1.0 / _PICTURES) if panel.playing else drawn + 1.0 / _PICTURES
            self._closed.wait(max(0.001, wait - time.perf_counter()))

    def _draw(self) -> None:
        shown = self.panel.shown
        if shown != self._aimed:
            self._aimed = shown
            position, target = self._aim()
            for client in self._server.get_clients().values():
                client.camera.position, client.camera.look_at = position, target
        envs = slice(len(self._centers)) if shown is None else slice(shown, shown + 1)
        poses = self.panel.moment().poses[envs]
        walked = self._start[envs]
        if self.panel.follow:
            walked = self._maker.walked(poses)
        elif not self._maker.uneven:
            walked = torch.zeros_like(walked)
        # The first one, or the only one, stays in its place, and the world passes under it.
        ground = -walked[0]
        if self._maker.uneven:
            ground = ground - self._origins[envs][0]
            places = self._origins[envs] + ground
        else:
            places = -walked if shown is not None else self._centers - walked
        with self._server.atomic():
            self._world.show(poses, places, ground)

    def wait(self) -> None:
        """Returns when the viewer has been closed; Ctrl-C closes it."""
        with contextlib.suppress(KeyboardInterrupt):
            while not self._closed.wait(0.2):
                pass
        self.close()

    def close(self) -> None:
        """Stops stepping and takes the page away; the environment stays open."""
        if self._closed.is_set():
            return
        self._closed.set()
        if threading.current_thread() is not self._thread:
            self._thread.join(timeout=10.0)
        self._server.stop()
        if self._made is not None:
            self._made.close()

    def __enter__(self) -> Viewer:
        """Itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Closes it."""
        self.close()

    def _repr_html_(self) -> str:
        """The page within a notebook."""
        style = "width: 100%; height: 600px; border: 0"
        return f'<iframe src="{self.url}" style="{style}"></iframe>'


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
