#version 330
in vec3 position;
in mat4 model;
uniform mat4 world_to_shadow;

void main() { gl_Position = world_to_shadow * model * vec4(position, 1.0); }
