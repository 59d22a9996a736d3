"""What several boards say of the same methods: one table over data sets."""
