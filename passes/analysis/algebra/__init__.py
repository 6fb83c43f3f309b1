"""Rewriting by the rules of algebra (DNNFusion, section 4.2)."""
