"""The body: 22-joint SMPL-X tree, rotations, forward kinematics, skinning and meshes."""
