import numpy as np
import pytest
from gymnasium import spaces
from pydantic import ValidationError

from racer.car.action_space import ActionSpace


def test_a_continuous_action_is_scaled_linearly_to_the_two_ranges():
    actions = ActionSpace(steering_deg=(-20.0, 30.0), speed=(1.0, 3.0))
    command = actions.command(np.array([[-1.0, -1.0], [1.0, 1.0], [0.0, 0.0], [0.5, -0.5]]))
    expected = [[-20.0, 1.0], [30.0, 3.0], [5.0, 2.0], [17.5, 1.5]]
    np.testing.assert_allclose(command, np.array(expected) * [np.pi / 180, 1.0])


def test_the_default_is_full_lock_either_way_and_left_is_positive():
    command = ActionSpace().command(np.array([[1.0, 1.0], [-1.0, -1.0]]))
    np.testing.assert_allclose(command, [[np.pi / 6, 4.0], [-np.pi / 6, 0.5]])


def test_an_action_outside_the_box_is_clipped_to_it():
    actions = ActionSpace()
    beyond = actions.command(np.array([[7.0, -7.0]]))
    np.testing.assert_array_equal(beyond, actions.command(np.array([[1.0, -1.0]])))


def test_a_discrete_action_is_a_row_of_the_table():
    actions = ActionSpace(kind="discrete", choices=((-30.0, 1.0), (0.0, 4.0), (15.0, 2.0)))
    command = actions.command(np.array([2, 0, 1, 2]))
    degrees = np.array([[15.0, 2.0], [-30.0, 1.0], [0.0, 4.0], [15.0, 2.0]])
    np.testing.assert_allclose(command, degrees * [np.pi / 180, 1.0])


def test_every_sample_of_either_space_gives_a_command_within_its_limits():
    table = ((-30.0, 0.1), (30.0, 4.0))
    for actions in (ActionSpace(), ActionSpace(kind="discrete", choices=table)):
        space = actions.space()
        space.seed(0)
        command = actions.command(np.array([space.sample() for _ in range(50)]))
        assert command.shape == (50, 2)
        assert np.abs(command[:, 0]).max() <= np.pi / 6 + 1e-12
        assert 0.1 <= command[:, 1].min() <= command[:, 1].max() <= 4.0


def test_the_space_is_a_box_of_two_or_an_index_into_the_choices():
    assert ActionSpace().space() == spaces.Box(-1.0, 1.0, (2,), np.float32)
    table = ((-10.0, 1.0), (0.0, 2.0), (10.0, 1.0))
    assert ActionSpace(kind="discrete", choices=table).space() == spaces.Discrete(3)


def test_choices_do_not_change_a_continuous_space():
    with_choices = ActionSpace(choices=((-10.0, 1.0), (10.0, 2.0)))
    action = np.array([[0.3, -0.8]])
    np.testing.assert_array_equal(with_choices.command(action), ActionSpace().command(action))


def test_a_space_that_no_car_can_follow_is_refused(subtests):
    for fields, message in [
        ({"kind": "discrete", "choices": ()}, "2-30 choices, has 0"),
        ({"kind": "discrete", "choices": ((0.0, 1.0),)}, "2-30 choices, has 1"),
        ({"kind": "discrete", "choices": ((0.0, 1.0),) * 31}, "2-30 choices, has 31"),
        ({"kind": "discrete", "choices": ((31.0, 1.0), (0.0, 1.0))}, "-30 to 30 degrees"),
        ({"kind": "discrete", "choices": ((0.0, 0.0), (0.0, 1.0))}, "0.1 to 4 m/s"),
        ({"steering_deg": (-45.0, 30.0)}, "-30 to 30 degrees"),
        ({"steering_deg": (10.0, -10.0)}, "lowest, highest"),
        ({"speed": (2.0, 1.0)}, "lowest, highest"),
        ({"speed": (0.0, 1.0)}, "0.1 to 4 m/s"),
        ({"speed": (1.0, 4.5)}, "0.1 to 4 m/s"),
        ({"speed": (1.0, float("nan"))}, "finite number"),
        ({"steering": (-10.0, 10.0)}, "Extra inputs"),
    ]:
        with (
            subtests.test(fields=fields, message=message),
            pytest.raises(ValidationError, match=message),
        ):
            ActionSpace.model_validate(fields)


def test_the_nearest_action_to_an_action_s_command_is_that_action():
    actions = ActionSpace(speed=(1.0, 3.5))
    some = np.random.default_rng(0).uniform(-1, 1, (50, 2))
    assert actions.nearest(actions.command(some)) == pytest.approx(some, abs=1e-6)
    listed = ActionSpace(kind="discrete")
    every = np.arange(len(listed.choices))
    assert np.array_equal(listed.nearest(listed.command(every)), every)


def test_a_command_out_of_reach_gets_the_action_at_the_edge():
    actions = ActionSpace(steering_deg=(-20.0, 30.0), speed=(1.0, 2.0))
    far = np.array([[-1.0, 9.0], [1.0, 0.0]])
    assert actions.nearest(far).tolist() == [[-1.0, 1.0], [1.0, -1.0]]
    constant = ActionSpace(speed=(2.0, 2.0))
    assert np.array_equal(constant.command(constant.nearest(far))[:, 1], [2.0, 2.0])


def test_ten_degrees_of_steering_count_more_than_half_a_metre_a_second():
    actions = ActionSpace(kind="discrete", choices=((10.0, 1.5), (0.0, 2.0)))
    assert actions.nearest(np.array([[0.0, 1.5]])).tolist() == [1]
