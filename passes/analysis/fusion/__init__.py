"""Which operations become one kernel (DNNFusion, section 4.3)."""
