"""The words of each provider's API: requests into calls, answers and errors into bytes."""
