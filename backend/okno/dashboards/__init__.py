"""The widgets that a card is made of, and who is offered which."""
