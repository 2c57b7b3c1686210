"""What a car is: its numbers, how an action becomes a command, and the forces on it. No Bullet."""
