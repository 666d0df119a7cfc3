//! The true engine in a seeded world.
