"""The game's rules: threat model, goal, loss, randomness and the one door to the model."""
