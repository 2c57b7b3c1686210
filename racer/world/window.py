"""What Bullet's own window shows besides the bodies; it takes no part in the physics."""

from __future__ import annotations

import numpy as np

from racer.world.bullet import BulletClient
from racer.world.car_state import WORLD_RADIUS_M
from racer.world.pybullet_client import bullet


def paint_road(client: BulletClient, left: np.ndarray, right: np.ndarray) -> None:
    """Show a closed road on grass, and the cars in red.

    Args:
        client: The client with the window.
        left: Points of the left border [m], (N, 2).
        right: Points of the right border [m], (N, 2).
    """
    across = right - left
    bullet.configureDebugVisualizer(bullet.COV_ENABLE_GUI, 0, physicsClientId=client.id)
    far = WORLD_RADIUS_M
    corners = np.array([(-far, -far), (far, -far), (far, far), (-far, far)])
    _strip(client, corners[[0, 3]], corners[[1, 2]], 0.0, (0.26, 0.48, 0.23, 1), is_loop=False)
    _strip(client, left, right, 0.002, (0.24, 0.25, 0.28, 1))
    for share in (0.0, 0.95):
        first, last = left + share * across, left + (share + 0.05) * across
        _strip(client, first, last, 0.004, (0.95, 0.95, 0.93, 1))
    for body in client.bodies:
        red = (0.89, 0.24, 0.16, 1)
        bullet.changeVisualShape(body, -1, rgbaColor=red, physicsClientId=client.id)


def _strip(
    client: BulletClient,
    first: np.ndarray,
    last: np.ndarray,
    height: float,
    colour: tuple,
    is_loop: bool = True,
) -> None:
    """Show a flat strip between two lines.

    Args:
        client: The client with the window.
        first: Points of one line [m], (N, 2).
        last: Points of the other [m], (N, 2).
        height: Height over the ground [m]; strips lie over each other without flickering.
        colour: Red, green, blue and alpha, 0-1.
        is_loop: Whether the strip closes from the last points to the first.
    """
    n = len(first)
    points = np.column_stack([np.vstack([first, last]), np.full(2 * n, height)])
    after = (np.arange(n) + 1) % n
    here = np.arange(n)[: None if is_loop else -1]
    after = after[: len(here)]
    faces = np.concatenate(
        [np.stack([here, n + here, n + after], 1), np.stack([here, n + after, after], 1)]
    )
    shape = bullet.createVisualShape(
        bullet.GEOM_MESH,
        vertices=points.tolist(),
        indices=faces.ravel().tolist(),
        normals=[(0.0, 0.0, 1.0)] * len(points),
        rgbaColor=colour,
        physicsClientId=client.id,
    )
    bullet.createMultiBody(0, -1, shape, physicsClientId=client.id)


def follow_car(client: BulletClient, body_row: np.ndarray, yaw: float) -> None:
    """Put the window's camera behind a car.

    Args:
        client: The client with the window.
        body_row: The car's body row, (13,).
        yaw: Its heading [rad].
    """
    behind = float(np.rad2deg(yaw)) - 90.0
    bullet.resetDebugVisualizerCamera(
        1.2, behind, -28.0, body_row[:3].tolist(), physicsClientId=client.id
    )
