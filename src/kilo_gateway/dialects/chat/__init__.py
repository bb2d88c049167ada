"""OpenAI chat completions, with what OpenRouter adds, as one end of a crossing. Between two ends that both speak it nothing

is translated: see dialects/relay.py. https://platform.openai.com/docs/api-reference/chat
"""
