"""SGRS-Net: pseudo labels learnt by region: where two views agree, differ or are unsure."""
