"""Explain a policy: what it looks at, what it reacts to, and whether that can be believed.

`recorded_lap` drives a policy, `attribution` and `gradients` map what it looked at, `map_proof`
scores the maps, `scene_changes` renders the same lap in a changed world, and `explanation` puts
all of it together. `explained_film` and `explanation_sheet` draw it.
"""
