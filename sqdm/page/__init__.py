"""The page that `sqdm report` writes: inputs, sections, pictures, and the template that puts them together."""
