"""Frontiers: where requests wait and results become durable; one contract, several stores."""
