"""What a request and an answer are when they cross from one dialect to another.

    caller's dialect --read_request--> Request --write_request--> upstream's dialect
    caller's dialect <--StreamWriter-- Event   <--StreamReader--- upstream's dialect

N dialects need N modules. An answer that is not streamed is the same events, folded. Texts are str, JSON that nobody has
to look into stays Raw, arguments of calls are JSON text. None: the caller did not say.
"""
