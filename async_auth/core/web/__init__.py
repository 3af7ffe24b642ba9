"""What a web back end reads of a request and writes into a response, whatever the framework."""
