//! Kernels and operators composed: vision, inventory, behaviour, market.
