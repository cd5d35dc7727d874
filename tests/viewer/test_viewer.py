"""The viewer's server, shapes and page; the page in a real browser where there is one."""

import io
import shutil
import time
import urllib.request

import gymnasium as gym
import numpy as np
import pytest
import torch
from PIL import Image

import isaac_gymnasium  # noqa: F401 (registers the IDs)
from isaac_gymnasium.cli import main

pytest.importorskip("viser")

from isaac_gymnasium.rendering.drawing import Drawable
from isaac_gymnasium.viewer import Viewer
from isaac_gymnasium.viewer.shapes import triangles
from isaac_gymnasium.viewer.viewer import _is_loopback

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


@pytest.fixture
def env():
    env = gym.make_vec("IsaacCartpole-v0", num_envs=4, device="cpu")
    yield env
    env.close()


def wait_until(condition, seconds=120.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


@pytest.mark.parametrize(
    ("kind", "size", "volume", "half"),
    [
        ("box", (0.1, 0.2, 0.3), 8 * 0.1 * 0.2 * 0.3, (0.1, 0.2, 0.3)),
        ("sphere", (0.2, 0.0, 0.0), 4 / 3 * np.pi * 0.008, (0.2, 0.2, 0.2)),
        ("cylinder", (0.1, 0.3, 0.0), np.pi * 0.01 * 0.6, (0.1, 0.1, 0.3)),
        (
            "capsule",
            (0.1, 0.3, 0.0),
            np.pi * 0.01 * 0.6 + 4 / 3 * np.pi * 0.001,
            (0.1, 0.1, 0.4),
        ),
        ("cone", (0.1, 0.3, 0.0), np.pi * 0.01 * 0.6 / 3, (0.1, 0.1, 0.3)),
    ],
)
def test_triangles_have_the_size_of_the_primitive(kind, size, volume, half):
    vertices, faces = triangles(Drawable(kind=kind, body="", label="", shared=False, size=size))
    a, b, c = (vertices[faces[:, k]].astype(float) for k in range(3))
    assert np.einsum("ij,ij->i", a, np.cross(b, c)).sum() / 6 == pytest.approx(volume, rel=0.05)
    assert vertices.max(0) == pytest.approx(half, abs=0.003)
    assert vertices.min(0) == pytest.approx([-one for one in half], abs=0.003)


def test_triangles_stand_where_the_primitive_does():
    quarter = (0.0, 0.0, np.sqrt(0.5), np.sqrt(0.5))
    shape = Drawable(
        kind="box",
        body="",
        label="",
        shared=False,
        size=(0.1, 0.2, 0.3),
        scale=(2.0, 1.0, 1.0),
        position=(1.0, 2.0, 3.0),
        orientation=quarter,
    )
    vertices, _ = triangles(shape)
    assert vertices.max(0) == pytest.approx((1.2, 2.2, 3.3), abs=1e-6)
    assert vertices.min(0) == pytest.approx((0.8, 1.8, 2.7), abs=1e-6)


def test_plays_in_real_time_serves_a_page_and_stops(env):
    with Viewer(env, port=18080) as viewer:
        assert viewer.url.startswith("http://127.0.0.1:")
        page = urllib.request.urlopen(viewer.url, timeout=20).read()
        assert b"<html" in page.lower() or b"<!doctype" in page.lower()
        assert viewer.url in viewer._repr_html_()
        wait_until(lambda: viewer.session.step_count > 20)
        viewer.panel.set_playing(False)
        time.sleep(0.1)
        steps = viewer.session.step_count
        time.sleep(0.3)
        assert viewer.session.step_count == steps
        viewer.panel.set_playing(True)
        start, before = time.perf_counter(), viewer.session.step_count
        wait_until(lambda: viewer.session.step_count >= before + 30)
        # No faster than real time, but for the steps that were due.
        assert time.perf_counter() - start > 0.8 * 29 * viewer.session.step_dt
    with pytest.raises(OSError):
        urllib.request.urlopen(viewer.url, timeout=2)
    env.step(env.action_space.sample())


def test_robots_stand_close_enough_to_be_seen_however_much_room_they_have():
    env = gym.make_vec("IsaacAnt-v0", num_envs=4, device="cpu")
    with Viewer(env, port=18130) as viewer:
        places = viewer._centers
        apart = torch.cdist(places, places) + 100.0 * torch.eye(4)
        assert apart.min() > 2.0 and apart.amin(1).max() < 6.0
        camera = viewer._server.initial_camera
        assert np.linalg.norm(np.array(camera.position) - places.mean(0).numpy()) < 30.0
    env.close()


def test_on_a_terrain_robots_stand_on_their_own_part_of_it():
    arguments = {"levels": 1, "tiles": 5, "first_levels": 1}
    env = gym.make_vec("IsaacAnymalRough-v0", num_envs=3, device="cpu", **arguments)
    with Viewer(env, port=18140) as viewer:
        origins, world = env.unwrapped.engine.env_origins, viewer._world
        shown = []
        world.show = lambda poses, places, ground: shown.append((poses, places, ground))
        for k, envs in ((None, [0, 1, 2]), (2, [2])):
            viewer.panel.shown = k
            viewer._draw()
            poses, places, ground = shown[-1]
            torch.testing.assert_close(places - ground, origins[envs])
            # The first, or the one that is shown, stands where the camera looks.
            root = poses[0, viewer.session.renderer.row("Robot"), :3] + places[0]
            assert root[:2].norm() < 1.0 and 0.2 < root[2] < 1.2
    env.close()


def test_who_walks_away_is_followed_and_the_ground_passes_beneath():
    env = gym.make_vec("IsaacAnt-v0", num_envs=2, device="cpu")
    with Viewer(env, port=18150) as viewer, viewer._lock:
        row, world, shown = viewer.session.renderer.row("Robot"), viewer._world, []
        world.show = lambda poses, places, ground: shown.append((poses, places, ground))
        walked = torch.tensor([[5.25, -3.5, 0.0], [2.0, 1.0, 0.0]])
        viewer.session.moments[-1].poses[:, row, :2] = walked[:, :2]

        def stands():
            viewer._draw()
            poses, places, ground = shown[-1]
            return (poses[:, row, :3] + places)[:, :2], ground

        at, ground = stands()
        torch.testing.assert_close(at, viewer._centers[:, :2])
        torch.testing.assert_close(ground, -walked[0])
        viewer.panel.shown = 1
        at, ground = stands()
        torch.testing.assert_close(at, torch.zeros(1, 2))
        torch.testing.assert_close(ground, -walked[1])
        viewer.panel._follow.value = False
        at, ground = stands()
        torch.testing.assert_close(at, walked[1:, :2])
        assert not ground.any()
        # A plane without end moves by less than a section, which looks the same.
        del world.show
        ((plane, middle),) = world._planes
        world.show(*shown[0])
        moved = torch.tensor(plane.position, dtype=torch.float32) - middle
        assert (moved >= 0.0).all() and (moved < 2.0).all()
        torch.testing.assert_close((moved + walked[0]) % 2.0, torch.zeros(3))
    env.close()


def test_looking_back_pauses_and_playing_goes_on_from_there(env):
    with env.view(port=18090) as viewer:
        wait_until(lambda: viewer.session.step_count > 40)
        panel = viewer.panel
        panel.set_playing(False)
        time.sleep(0.2)
        panel.refresh()
        now = viewer.session.step_count
        panel._time.value = 0.3
        wait_until(lambda: panel.index != -1)
        back = now - panel.moment().step
        assert back == pytest.approx(0.3 / viewer.session.step_dt, abs=1)
        assert viewer.session.step_count == now
        panel.go_on_from_here()
        assert viewer.session.step_count == now - back and panel.index == -1


def test_parameters_make_the_environment_anew(env):
    made = []

    def make(changed):
        made.append(gym.make_vec("IsaacCartpole-v0", num_envs=2, device="cpu", **changed))
        return made[-1]

    with Viewer(env, port=18100, make=make) as viewer:
        viewer._rebuild({"episode_length_s": 2.0})
        assert viewer.session.env is made[0] and made[0].unwrapped.task.episode_length_s == 2.0
        with pytest.raises(TypeError, match="pole"):
            viewer._rebuild({"pole": 1})
        assert viewer.session.env is made[0]
        wait_until(lambda: viewer.session.step_count > 2)
        viewer.panel.speed, viewer.session.source = 2.0, "zero"
        viewer.panel.set_playing(False)
        viewer._rebuild({"max_force": 50.0})
        assert viewer.session.env.unwrapped.task.episode_length_s == 2.0
        assert viewer.panel.speed == 2.0 and not viewer.panel.playing
        assert viewer.session.source == "zero"
    assert made[0].unwrapped.closed


def test_a_view_of_an_environment_makes_one_like_it(env):
    with env.view(port=18105) as viewer:
        viewer._rebuild({"episode_length_s": 2.0})
        again = viewer.session.env.unwrapped
        assert again is not env.unwrapped and again.num_envs == env.num_envs
        assert again.task.episode_length_s == 2.0 != env.unwrapped.task.episode_length_s
        assert again.engine.name == env.unwrapped.engine.name and again.device == env.device
    assert again.closed and not env.unwrapped.closed


def test_an_address_that_others_reach_is_told(env, caplog):
    assert _is_loopback("127.0.0.1") and _is_loopback("localhost") and _is_loopback("::1")
    assert not _is_loopback("0.0.0.0")
    with Viewer(env, host="0.0.0.0", port=18110):
        assert "can be controlled by whoever reaches it" in caplog.text


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "expects an ID or --policy"),
        (["IsaacCartpole-v0", "--num-envs", "0"], "--num-envs must be at least 1"),
        (["IsaacNothing-v0"], "unknown environment 'IsaacNothing-v0'"),
    ],
)
def test_command_refuses_what_it_cannot_show(words, message, capsys):
    assert main(["view", *words]) == 2
    assert message in capsys.readouterr().err


@pytest.fixture
def page():
    """An empty page of a browser that draws without a GPU."""
    playwright = pytest.importorskip("playwright.sync_api")
    software = ["--no-sandbox", "--enable-unsafe-swiftshader", "--use-angle=swiftshader"]
    with (
        playwright.sync_playwright() as p,
        p.chromium.launch(executable_path=CHROMIUM, args=software) as browser,
    ):
        page = browser.new_page(viewport={"width": 560, "height": 400})
        page.set_default_timeout(120_000)
        yield page


def colors(locator):
    """(C, 3) the colours of what the browser shows."""
    pixels = Image.open(io.BytesIO(locator.screenshot())).convert("RGB")
    return np.unique(np.asarray(pixels).reshape(-1, 3), axis=0)


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="needs chromium")
def test_in_a_browser_the_robot_is_there_and_every_control_works(env, page):
    with Viewer(env, port=18120) as viewer:
        session, panel = viewer.session, viewer.panel

        def press(name):
            page.get_by_role("button", name=name, exact=True).click()

        def open_tab(name):
            page.get_by_role("tab", name=name).click()

        def right(slider):
            page.locator("[role=slider]:visible").nth(slider).press("ArrowRight")

        page.goto(viewer.url)
        press("Pause")
        page.get_by_role("button", name="Play").wait_for()
        steps = session.step_count
        time.sleep(0.5)
        assert session.step_count == steps
        assert len(colors(page.locator("canvas").first)) > 50
        press("Step")
        wait_until(lambda: session.step_count == steps + 1)

        pushed = session.moments[-1].poses
        press("Push")
        wait_until(lambda: session.moments[-1].poses is not pushed)
        right(0)
        wait_until(lambda: panel.speed == pytest.approx(1.1))
        page.locator("input:visible").last.fill("0.2")
        page.keyboard.press("Enter")
        wait_until(lambda: panel.index != -1)
        press("Go on from here")
        back = round(0.2 / session.step_dt)
        wait_until(lambda: session.step_count == steps + 1 - back)

        open_tab("Plots")
        plot = page.locator(".uplot").first
        assert plot.inner_text().startswith("reward")
        wait_until(lambda: (colors(plot) == (0x25, 0x63, 0xEB)).all(-1).any())
        open_tab("Actions")
        right(0)
        wait_until(lambda: session.source == "sliders" and session.sliders[0] > 0)
        open_tab("Run")
        page.locator("input:visible").nth(1).click()
        page.get_by_role("option", name="2", exact=True).click()
        wait_until(lambda: panel.shown == 2)
