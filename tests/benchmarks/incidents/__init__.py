"""How well causes of recorded incidents are ranked: incidents over random graphs with known truth, and rivals."""
