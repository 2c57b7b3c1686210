"""The log of a car's driving: columns, units, and refusals that name the line."""

import numpy as np
import pytest

from racer.car.spec import deepracer
from racer.errors import LogError
from racer.identification.car_log import read_car_log, write_car_log
from racer.identification.example_log import example_log
from racer.identification.fit import fit_car

SPEC = deepracer()


def test_a_log_is_read_as_it_was_written_also_in_degrees(tmp_path):
    log = example_log(SPEC, duration=11.0, has_pose=True)
    write_car_log(tmp_path / "log.csv", log)
    again = read_car_log(tmp_path / "log.csv")
    assert again.pose is not None and log.pose is not None
    np.testing.assert_allclose(again.pose, log.pose, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(again.command, log.command, rtol=1e-5)
    assert again.yaw_rate is None and again.speed is None
    with pytest.raises(LogError, match="another file is there"):
        write_car_log(tmp_path / "log.csv", example_log(SPEC, seed=1, duration=11.0))
    lines = (tmp_path / "log.csv").read_text().splitlines()
    names = (
        lines[0]
        .replace("steering_command_rad", "steering_command_deg")
        .replace("yaw_rad", "yaw_deg")
    )
    (tmp_path / "degrees.csv").write_text("\n".join([names, *lines[1:]]))
    degrees = read_car_log(tmp_path / "degrees.csv")
    assert degrees.pose is not None
    np.testing.assert_allclose(degrees.pose[:, 2], np.deg2rad(again.pose[:, 2]))
    np.testing.assert_allclose(degrees.command[:, 0], np.deg2rad(again.command[:, 0]))
    np.testing.assert_allclose(degrees.command[:, 1], again.command[:, 1])


HEAD = "time_s,steering_command_rad,speed_command_m_s,yaw_rate_rad_s"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "got the columns none; missing: time_s"),
        ("time_s,steering_command_rad\n", "missing: speed_command_m_s"),
        ("time_s,steering_command_rad,speed_command_m_s\n", "wanted is what the car did"),
        (f"{HEAD},x_m\n", "a pose has all of x_m, y_m, yaw_rad"),
        (f"{HEAD}\n0,0,1\n", "line 2: 3 values for 4 columns"),
        (f"{HEAD}\n0,0,1,0\n0.1,left,1,0\n", "line 3: steering_command_rad: wanted is a number"),
        (f"{HEAD}\n0,0,1,0\n0.1,0,1,nan\n", "line 3: yaw_rate_rad_s: wanted is a number"),
        (f"{HEAD}\n0,0,1,0\n0.1,0,1,0\n0.1,0,1,0\n", "line 4: the time does not grow: from 0.1"),
        (f"{HEAD}\n0,0,1,0\n0.9,0,1,0\n", "line 3: the time has a gap: from 0 to 0.9 s"),
        (f"{HEAD}\n0,0,1,0\n0.1,0,1,0\n", "0.1 s of driving; at least 10 s"),
        (f"{HEAD}\n" + "".join(f"{k / 10},0,1,0\n" for k in range(120)), "no steering"),
    ],
)
def test_a_log_that_cannot_be_used_is_refused_with_its_line(tmp_path, text, told):
    (tmp_path / "log.csv").write_text(text)
    with pytest.raises(LogError, match=told):
        fit_car(read_car_log(tmp_path / "log.csv"), SPEC)
