"""One folder per method, plus what trainings share: loop, samplers, schedules, networks."""
