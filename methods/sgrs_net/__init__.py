"""SGRS-Net: pseudo labels supervised by region, where two views agree, disagree or are unsure."""
