"""From a suite file to planned cells."""
