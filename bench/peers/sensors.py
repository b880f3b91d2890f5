"""The laundry fleet's sensors, as fleets/laundry/fleet.yaml declares them:
name: (min, max, decimals, what is done out of range)."""
SENSORS = {
    "temperature_c": (0, 100, 2, "clip"), "vibration_hz": (0, 500, 3, "null"), "pressure_bar": (0, 16, 3, "clip"),
    "power_kw": (0, 60, 3, "clip"), "runtime_hours": (0, 1000000, 2, "clip"), "error_code_count": (0, 10000, 0, "clip"),
}
