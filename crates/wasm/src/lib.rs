//! The guest engine: component cache, instance pool, limits and bindings. Knows nothing of topics.
