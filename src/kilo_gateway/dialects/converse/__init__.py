"""Amazon Bedrock's Converse and ConverseStream, for upstreams. The model and whether it streams stand in the URL.

https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html
"""
