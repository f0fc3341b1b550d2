"""The rolling grid around the vehicle: evidence, cost, layers, speed and the safe map."""
