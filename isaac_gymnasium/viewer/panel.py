"""The controls beside the picture."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from typing import Any

import numpy as np
from viser import Icon

from isaac_gymnasium.viewer.session import SOURCES, Moment, Session

__all__ = ["Panel"]

_COLORS = ("#2563eb", "#ea580c", "#16a34a", "#9333ea", "#dc2626", "#0891b2", "#ca8a04", "#4b5563")
_PLOTTED = 600
"""Newest moments in a plot."""
_PAUSE = Icon.PLAYER_PAUSE
_SHARES = ("success", "ended")
_SHARE = {"range": (0.0, 1.0)}
_FIRST = ("reward", *_SHARES)
"""What people look for comes before the terms of the reward."""


def _order(name: str) -> tuple[int, str]:
    return (_FIRST.index(name) if name in _FIRST else len(_FIRST), name)


class Panel:
    """Buttons, sliders and plots of one session.

    Args:
        server: A viser server.
        session: What they control.
        envs: How many environments there are to show.
        follows: Whether the picture can go along with what walks away.
        parameters: Task parameters that can be changed, by name.
        rebuild: Makes the environment anew with changed parameters; None hides them.

    Attributes:
        playing: Whether steps follow one another.
        index: Remembered moment that is shown; -1 is now.
        shown: Environment that is shown alone, or None for all.
    """

    def __init__(
        self,
        server: Any,
        session: Session,
        envs: int,
        follows: bool,
        parameters: dict[str, Any],
        rebuild: Callable[[dict[str, Any]], None] | None,
    ) -> None:
        self._server, self._session = server, session
        self.playing = True
        self.index = -1
        self.shown: int | None = None
        self._setting = False
        self._names: list[str] = []
        self._plots: list[Any] = []
        gui = server.gui
        # Beside the picture, not over it. Sharing would put the controls on the internet.
        gui.main_panel.dock_right()
        gui.configure_theme(show_logo=False, show_share_button=False)
        tabs = gui.add_tab_group()
        with tabs.add_tab("Run"):
            self._add_run(gui, envs, follows)
        self._plot_tab = tabs.add_tab("Plots")
        with tabs.add_tab("Actions"):
            self._add_actions(gui)
        if rebuild is not None and parameters:
            with tabs.add_tab("Task"):
                self._add_task(gui, parameters, rebuild)

    # ------------------------------------------------------------------ making it

    def _add_run(self, gui: Any, envs: int, follows: bool) -> None:
        self._play = gui.add_button("Pause", icon=_PAUSE)
        step = gui.add_button("Step", icon=Icon.PLAYER_TRACK_NEXT, color="gray")
        reset = gui.add_button("Reset", icon=Icon.REFRESH, color="gray")
        push = gui.add_button("Push", icon=Icon.HAND_FINGER, color="gray")
        self._speed = gui.add_slider("Speed", min=0.1, max=4.0, step=0.1, initial_value=1.0)
        choices = ["all", *(str(k) for k in range(envs))]
        show = gui.add_dropdown("Environment", choices, initial_value="all")
        self._follow = gui.add_checkbox("Follow", initial_value=follows, visible=follows)
        with gui.add_folder("Time travel"):
            self._time = gui.add_slider("Seconds ago", min=0.0, max=1.0, step=0.01, initial_value=0)
            self._fork = gui.add_button("Go on from here", disabled=True)
        self._status = gui.add_markdown("")
        self._play.on_click(lambda _: self.set_playing(not self.playing))
        step.on_click(lambda _: self._pause_and(self._session.step))
        reset.on_click(lambda _: self._pause_and(self._session.reset))
        push.on_click(lambda _: self._from_here(self._session.push))
        self._fork.on_click(lambda _: self.go_on_from_here())
        self._time.on_update(lambda _: self._look_back())

        @show.on_update  # type: ignore[untyped-decorator]
        def _(_: Any) -> None:
            self.shown = None if show.value == "all" else int(show.value)

    def _add_actions(self, gui: Any) -> None:
        session = self._session
        known = [name for name in SOURCES if name != "policy" or session.policy is not None]
        source = gui.add_dropdown("Actions", known, initial_value=session.source)

        @source.on_update  # type: ignore[untyped-decorator]
        def _(_: Any) -> None:
            session.source = source.value

        space: Any = session.env.single_action_space
        for k, (low, high) in enumerate(zip(space.low.tolist(), space.high.tolist(), strict=True)):
            slider = gui.add_slider(
                f"Action {k}",
                min=low,
                max=high,
                step=(high - low) / 200,
                initial_value=float(session.sliders[k]),
            )

            def moved(_: Any, k: int = k, slider: Any = slider) -> None:
                session.sliders[k] = slider.value
                session.source = source.value = "sliders"

            slider.on_update(moved)

    def _add_task(
        self, gui: Any, parameters: dict[str, Any], rebuild: Callable[[dict[str, Any]], None]
    ) -> None:
        inputs = {}
        for name, value in parameters.items():
            if isinstance(value, bool):
                inputs[name] = gui.add_checkbox(name, initial_value=value)
            elif isinstance(value, (int, float)):
                step = 1 if isinstance(value, int) else None
                inputs[name] = gui.add_number(name, initial_value=value, step=step)
            else:
                inputs[name] = gui.add_text(name, initial_value=value)
        make = gui.add_button("Make anew with these")
        problem = gui.add_markdown("")

        @make.on_click  # type: ignore[untyped-decorator]
        def _(_: Any) -> None:
            changed = {
                name: handle.value
                for name, handle in inputs.items()
                if handle.value != parameters[name]
            }
            problem.content = "Making them …"
            try:
                rebuild(changed)
            except Exception as error:
                problem.content = f"**{error}**"

    # ------------------------------------------------------------------ what it does

    @property
    def speed(self) -> float:
        """Times real time."""
        return float(self._speed.value)

    @speed.setter
    def speed(self, speed: float) -> None:
        self._speed.value = speed

    @property
    def follow(self) -> bool:
        """Whether the picture goes along with what walks away."""
        return bool(self._follow.value)

    def set_playing(self, playing: bool) -> None:
        """Plays or pauses; playing on from a moment looked back at goes on from there."""
        if playing and self.index != -1:
            self.go_on_from_here()
        self.playing = playing
        self._play.label = "Pause" if playing else "Play"
        self._play.icon = _PAUSE if playing else Icon.PLAYER_PLAY

    def go_on_from_here(self) -> None:
        """Makes the moment that is shown the present."""
        if self.index != -1:
            self._session.go_back(self.index)
            self._show_now()

    def _pause_and(self, act: Callable[[], None]) -> None:
        """A step of one's own ends playing."""
        self.set_playing(False)
        self._from_here(act)

    def _from_here(self, act: Callable[[], None]) -> None:
        """Acts upon the moment that is shown, which becomes the present."""
        self.go_on_from_here()
        act()

    def _look_back(self) -> None:
        if self._setting:
            return
        if self.index == -1:
            self.set_playing(False)
        moments = self._session.moments
        back = round(self._time.value / self._session.step_dt)
        oldest = self._session.reachable()
        index = max(oldest, len(moments) - 1 - back)
        self.index = -1 if index == len(moments) - 1 else index
        self._fork.disabled = self.index == -1

    def _show_now(self) -> None:
        self.index = -1
        self._fork.disabled = True
        self._setting = True
        self._time.value = 0.0
        self._setting = False

    def moment(self) -> Moment:
        """What is to be shown."""
        return self._session.moments[self.index]

    def refresh(self) -> None:
        """Brings numbers and plots up to date."""
        session, moment = self._session, self.moment()
        seconds = (len(session.moments) - 1 - session.reachable()) * session.step_dt
        if self.index == -1 and seconds > 0:
            self._time.max = max(0.01, round(seconds, 2))
        state = "playing" if self.playing else "paused"
        if self.index != -1:
            state = "looking back"
        lines = [f"step {moment.step}, {moment.step * session.step_dt:.2f} s, {state}", ""]
        if moment.values:
            lines += ["Means over the environments:", "", "| | |", "|---|--:|"]
        lines += [
            f"| {name} | {moment.values[name]:.3g} |" for name in sorted(moment.values, key=_order)
        ]
        self._status.content = "\n".join(lines)
        self._refresh_plots()

    def _refresh_plots(self) -> None:
        moments = list(self._session.moments)
        recent = list(islice(moments, max(0, len(moments) - _PLOTTED), None))
        names = sorted({name for moment in recent for name in moment.values}, key=_order)
        if len(recent) < 2 or not names:
            return
        times = np.array([moment.step for moment in recent]) * self._session.step_dt
        data = [np.array([moment.values.get(name, np.nan) for moment in recent]) for name in names]
        if names != self._names:
            self._make_plots(names)
        for values, plot in zip(data, self._plots, strict=True):
            plot.data = (times, values)

    def _make_plots(self, names: list[str]) -> None:
        for plot in self._plots:
            plot.remove()
        self._names, empty = names, np.zeros(2)
        with self._plot_tab:
            self._plots = [
                self._server.gui.add_uplot(
                    (empty, empty),
                    series=(
                        {"label": "s"},
                        {"label": name, "stroke": _COLORS[k % len(_COLORS)], "width": 2},
                    ),
                    scales={"x": {"time": False}, "y": _SHARE if name in _SHARES else {}},
                    axes=({"size": 28}, {"size": 50}),
                    padding=(8, 24, 0, 0),
                    title=name,
                    height=110,
                    legend={"show": False},
                )
                for k, name in enumerate(names)
            ]
