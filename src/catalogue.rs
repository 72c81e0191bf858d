//! The catalogue on disk: product records and their reference pictures.
