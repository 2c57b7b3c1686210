"""Gymnasium's wrappers that need packages of their own, which the extra `train` brings."""

import gymnasium
import numpy as np
import pytest
from gymnasium.wrappers import GrayscaleObservation, RecordVideo, ResizeObservation

import racer  # noqa: F401

CAMERA = {"kind": "camera", "width": 40, "height": 30, "colour": "rgb"}


# moviepy's own text, where Python compiles it for the first time.
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:invalid escape sequence")
def test_record_video_films_an_episode(tmp_path):
    env = gymnasium.make("racer/TimeTrial-v0", sensor="state", render_mode="rgb_array")
    film = RecordVideo(env, str(tmp_path / "films"), episode_trigger=lambda episode: True)
    film.reset(seed=0)
    for _ in range(4):
        film.step(np.array([0.0, 1.0]))
    film.close()
    (path,) = (tmp_path / "films").iterdir()
    assert path.suffix == ".mp4"
    assert path.stat().st_size > 1000


def test_resize_and_grayscale_observation_change_a_camera_s_frame():
    env = gymnasium.make("racer/TimeTrial-v0", sensor=CAMERA)
    seen, _ = env.reset(seed=0)
    small = ResizeObservation(env, (15, 20))
    assert small.observation_space.shape == small.observation(seen).shape == (15, 20, 3)
    grey = GrayscaleObservation(env)
    assert grey.observation_space.shape == grey.observation(seen).shape == (30, 40)
    luma = grey.observation(seen).astype(int)
    assert ((seen.min(axis=2) - 1.0 <= luma) & (luma <= seen.max(axis=2) + 1.0)).all()
    env.close()
