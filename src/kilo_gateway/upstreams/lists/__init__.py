"""An upstream's list of models: from its bytes to facts, one module for each shape. Fetching is control's."""
