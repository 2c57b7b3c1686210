"""An action space drawn as a fan: steering as the angle, speed as the distance from the car."""

from __future__ import annotations

import math

from markupsafe import Markup

from racer.assets.chart_style import PAGE_CURVE_COLOURS
from racer.car.action_space import SPEED_LIMITS, STEERING_LIMIT_DEG, ActionSpace

SCALE_PX = 52.0
"""Length of 1 m/s [px]."""
WIDTH_PX, HEIGHT_PX = 320.0, 240.0


def action_fan(actions: ActionSpace) -> Markup:
    """Return an action space as an `<svg>` element in the ink of the page; the car is below."""
    fan = _sector(actions) if actions.kind == "continuous" else _rays(actions)
    rings = "".join(_ring(float(speed)) for speed in range(1, int(SPEED_LIMITS[1]) + 1))
    x, y = _point(0.0, 0.0)
    car = f'<rect x="{x - 6:.1f}" y="{y:.1f}" width="12" height="16" rx="2" fill="currentColor"/>'
    title = f"{len(actions.choices)} actions" if actions.kind == "discrete" else "range of actions"
    return Markup(
        f'<svg viewBox="0 0 {WIDTH_PX:.0f} {HEIGHT_PX:.0f}" role="img" aria-label="{title}" '
        f'style="width:100%;height:100%">{rings}{fan}{car}</svg>'
    )


def _sector(actions: ActionSpace) -> str:
    """Return the region of a continuous space."""
    (low, high), (slow, fast) = actions.steering_deg, actions.speed
    angles = [low + (high - low) * k / 24 for k in range(25)]
    outline = [_point(angle, fast) for angle in angles]
    outline += [_point(angle, slow) for angle in reversed(angles)]
    points = " ".join(f"{x:.1f},{y:.1f}" for x, y in outline)
    colour = PAGE_CURVE_COLOURS[0]
    return f'<polygon points="{points}" fill="{colour}" fill-opacity="0.45" stroke="{colour}"/>'


def _rays(actions: ActionSpace) -> str:
    """Return a ray with a dot for each choice of a discrete space."""
    x0, y0 = _point(0.0, 0.0)
    colour, drawn = PAGE_CURVE_COLOURS[0], []
    for steering, speed in actions.choices:
        x, y = _point(steering, speed)
        drawn.append(
            f'<line x1="{x0:.1f}" y1="{y0:.1f}" x2="{x:.1f}" y2="{y:.1f}" stroke="{colour}" '
            f'stroke-opacity="0.5"/><circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{colour}"/>'
        )
    return "".join(drawn)


def _ring(speed: float) -> str:
    """Return the arc of a speed, with its name."""
    limit = STEERING_LIMIT_DEG
    (x1, y1), (x2, y2), radius = _point(limit, speed), _point(-limit, speed), speed * SCALE_PX
    return (
        f'<path d="M{x1:.1f} {y1:.1f}A{radius:.1f} {radius:.1f} 0 0 1 {x2:.1f} {y2:.1f}" '
        'fill="none" stroke="currentColor" stroke-opacity="0.3"/>'
        f'<text x="{x2 + 4:.1f}" y="{y2 + 4:.1f}" font-size="11" fill="currentColor">'
        f"{speed:g} m/s</text>"
    )


def _point(steering_deg: float, speed: float) -> tuple[float, float]:
    """Return the place of a command [px]; steering to the left is on the left."""
    angle = math.radians(steering_deg)
    away = speed * SCALE_PX
    return WIDTH_PX / 2 - away * math.sin(angle), HEIGHT_PX - 22.0 - away * math.cos(angle)
