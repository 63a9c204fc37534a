"""HumanML3D's protocol: how well motions match texts and real motions, in an evaluator's space."""
