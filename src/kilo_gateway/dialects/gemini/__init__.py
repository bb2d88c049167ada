"""Google Gemini: generateContent and streamGenerateContent, as upstreams speak it. https://ai.google.dev/api/generate-content

    asking    a Request as a body       turns, parts, thinking: what goes into it
    reading   an answer as Events       usage, sources: what is told beside the text
"""
