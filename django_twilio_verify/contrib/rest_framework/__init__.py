"""Django REST framework: who may call, and how a program signs somebody in with two factors."""
