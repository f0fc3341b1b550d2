"""Speed: of the trainer beside a bare loop, of an exported model beside its peers."""
