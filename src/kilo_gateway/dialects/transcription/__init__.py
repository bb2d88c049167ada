"""Transcription: a recording as a form or as JSON, sent on as the form that OpenAI has; text, subtitles or JSON back."""
