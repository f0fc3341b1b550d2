// Load each SDF file named and print the errors that libsdformat finds; 1 where there are any.
#include <iostream>

#include <sdf/Model.hh>
#include <sdf/Root.hh>
#include <sdf/World.hh>

int main(int count, char **words)
{
  bool good = count > 1;
  for (int index = 1; index < count; ++index)
  {
    sdf::Root root;
    for (const auto &error : root.Load(words[index]))
    {
      good = false;
      std::cerr << words[index] << ": " << error << std::endl;
    }
    const sdf::World *world = root.WorldByIndex(0);
    if (world == nullptr)
      return 1;
    std::cout << "world " << world->Name() << " gravity " << world->Gravity().Z() << " models "
              << world->ModelCount() << std::endl;
  }
  return good ? 0 : 1;
}
